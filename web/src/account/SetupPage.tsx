import { Trans, useLingui } from '@lingui/react/macro'
import { useQuery } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { Link } from 'wouter'
import { navigate } from 'wouter/use-browser-location'
import './auth.css'
import { post } from '../api/client'
import { instanceQuery, meQuery, queryClient } from '../api/queries'
import { enterSession } from '../api/session'
import type { Session } from '../api/types'
import { Button } from '../ui/Button'
import { useErrorText } from '../ui/errors'
import { Field, PasswordField } from '../ui/Field'
import { Note } from '../ui/Note'
import { AuthBrand, EncryptionNote, LanguageSwitch, shortestPassword, validEmail } from './AuthParts'

function Steps() {
  return (
    <aside className="setup-side">
      <h2>
        <Trans>What happens next</Trans>
      </h2>
      <ol>
        <li>
          <span className="step-mark now">1</span>
          <div>
            <div className="strong">
              <Trans>Create the first account</Trans>
            </div>
            <div className="sm t2">
              <Trans>You are here</Trans>
            </div>
          </div>
        </li>
        <li>
          <span className="step-mark">2</span>
          <div>
            <div className="strong">
              <Trans>Connect OpenRouter</Trans>
            </div>
            <div className="sm t2">
              <Trans>Paste a key and verify it. Whoever runs this server for you may have done this.</Trans>
            </div>
          </div>
        </li>
        <li>
          <span className="step-mark">3</span>
          <div>
            <div className="strong">
              <Trans>Add colleagues</Trans>
            </div>
            <div className="sm t2">
              <Trans>Each gets an account of their own. You see what each of them spends.</Trans>
            </div>
          </div>
        </li>
        <li>
          <span className="step-mark">4</span>
          <div>
            <div className="strong">
              <Trans>Ask the first question</Trans>
            </div>
            <div className="sm t2">
              <Trans>Its exact charge stands below the answer.</Trans>
            </div>
          </div>
        </li>
      </ol>
      <p className="sm t2 promise">
        <Trans>
          Chats are stored on this server. To be answered, a message goes to OpenRouter and a provider of the model.
          Whoever runs this server for you is told spend and health, never a prompt or an answer.
        </Trans>
      </p>
    </aside>
  )
}

/** Registration: of the first person, who becomes the admin, or of anybody where sign-up is open. */
export function SetupPage() {
  const { t } = useLingui()
  const errorText = useErrorText()
  const { data: instance } = useQuery(instanceQuery)
  const [form, setForm] = useState(() => ({
    name: '',
    email: '',
    password: '',
    token: new URLSearchParams(location.search).get('setup') ?? '',
  }))
  const [tried, setTried] = useState(false)
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<string | null>(null)
  if (!instance) return null
  const first = instance.setup_needed
  const needsToken = first && instance.setup_token_required
  const problems = {
    name: form.name.trim() ? null : t`Enter your name.`,
    email: validEmail(form.email) ? null : t`Enter an e-mail address.`,
    password: form.password.length >= shortestPassword ? null : t`Use at least ${shortestPassword} characters.`,
    token: !needsToken || form.token.trim() ? null : t`Open the set-up link, or paste its code here.`,
  }
  const set = (field: keyof typeof form) => (e: { target: { value: string } }) =>
    setForm({ ...form, [field]: e.target.value })
  const submit = async (e: FormEvent) => {
    e.preventDefault()
    setTried(true)
    if (busy || Object.values(problems).some(Boolean)) return
    setBusy(true)
    setError(null)
    try {
      await post<Session>('/auths/signup', {
        name: form.name.trim(),
        email: form.email.trim(),
        password: form.password,
        ...(needsToken && { setup_token: form.token.trim() }),
      })
      await enterSession()
      const me = queryClient.getQueryData(meQuery.queryKey)
      navigate(first && !me?.connected ? '/settings/connections' : '/')
    } catch (cause) {
      setError(errorText(cause))
      setBusy(false)
    }
  }
  const body = (
    <main className="setup-form" id="main">
      <form className="auth-form" onSubmit={submit} noValidate>
        <AuthBrand name={instance.name} />
        <div>
          {first && (
            <div className="xs t3" style={{ marginBottom: 6 }}>
              <Trans>Step 1 of 4</Trans>
            </div>
          )}
          <h1>{first ? <Trans>Create the first account</Trans> : <Trans>Create your account</Trans>}</h1>
          <p className="t2" style={{ marginTop: 6 }}>
            {first ? (
              <Trans>This account is the admin. It connects the models and invites your colleagues.</Trans>
            ) : (
              <Trans>An admin approves new accounts before they can chat.</Trans>
            )}
          </p>
        </div>
        <EncryptionNote instance={instance} />
        {needsToken && (
          <Field
            label={t`Set-up code`}
            large
            mono
            autoComplete="off"
            value={form.token}
            onChange={set('token')}
            error={tried ? problems.token : null}
            help={t`It is in the link that you were sent.`}
          />
        )}
        <Field
          label={t`Name`}
          large
          autoComplete="name"
          value={form.name}
          onChange={set('name')}
          error={tried ? problems.name : null}
        />
        <Field
          label={t`Work e-mail`}
          large
          type="email"
          autoComplete="username"
          value={form.email}
          onChange={set('email')}
          error={tried ? problems.email : null}
        />
        <PasswordField
          label={t`Password`}
          large
          autoComplete="new-password"
          value={form.password}
          onChange={set('password')}
          error={tried ? problems.password : null}
          help={
            form.password.length >= shortestPassword ? t`Long enough.` : t`At least ${shortestPassword} characters.`
          }
        />
        {error && <Note tone="bad">{error}</Note>}
        <Button look="primary" size="large" wide type="submit" disabled={busy}>
          {busy ? <Trans>Creating…</Trans> : <Trans>Create account</Trans>}
        </Button>
        <p className="xs t3">
          {first ? (
            <Trans>After this, sign-up closes. New people join by your invitation.</Trans>
          ) : (
            <>
              <Trans>You have an account?</Trans>{' '}
              <Link href="/signin">
                <Trans>Sign in</Trans>
              </Link>
            </>
          )}
        </p>
      </form>
    </main>
  )
  return (
    <>
      {first ? (
        <div className="setup">
          {body}
          <Steps />
        </div>
      ) : (
        <div className="center-page">{body}</div>
      )}
      <LanguageSwitch />
    </>
  )
}
