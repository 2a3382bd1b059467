import { Trans, useLingui } from '@lingui/react/macro'
import { useQuery } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { Link } from 'wouter'
import './auth.css'
import { ApiError, post } from '../api/client'
import { instanceQuery } from '../api/queries'
import { enterSession } from '../api/session'
import type { Session } from '../api/types'
import { Button } from '../ui/Button'
import { useErrorText } from '../ui/errors'
import { Field, PasswordField } from '../ui/Field'
import { Note } from '../ui/Note'
import { AuthBrand, EncryptionNote, LanguageSwitch } from './AuthParts'

export function SignInPage() {
  const { t } = useLingui()
  const errorText = useErrorText()
  const { data: instance } = useQuery(instanceQuery)
  const [email, setEmail] = useState('')
  const [password, setPassword] = useState('')
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<string | null>(null)
  if (!instance) return null
  const signIn = async (credentials: { email: string; password: string }) => {
    setBusy(true)
    setError(null)
    try {
      await post<Session>('/auths/signin', credentials)
      await enterSession()
    } catch (cause) {
      const wrong = cause instanceof ApiError && cause.code === 'unauthenticated'
      setError(wrong ? t`The e-mail or the password is wrong. An admin can reset your password.` : errorText(cause))
      setBusy(false)
    }
  }
  const submit = (e: FormEvent) => {
    e.preventDefault()
    if (!busy && email && password) void signIn({ email: email.trim(), password })
  }
  return (
    <div className="center-page">
      <main id="main" style={{ width: '100%', maxWidth: 384 }}>
        <form className="auth-form" onSubmit={submit} noValidate>
          <AuthBrand name={instance.name} />
          <h1>
            <Trans>Sign in</Trans>
          </h1>
          <EncryptionNote instance={instance} />
          {instance.demo && (
            <Note title={<Trans>This is a demo.</Trans>}>
              <Trans>The company is invented, the models are simulated, and nothing costs money.</Trans>
              <div className="demo-logins">
                {instance.demo_logins?.map((login) => (
                  <button
                    key={login.email}
                    type="button"
                    className="link-btn"
                    disabled={busy}
                    onClick={() => signIn({ email: login.email, password: login.password })}
                  >
                    {login.role === 'admin' ? (
                      <Trans>Sign in as {login.name}, an admin</Trans>
                    ) : (
                      <Trans>Sign in as {login.name}, an employee</Trans>
                    )}
                  </button>
                ))}
              </div>
            </Note>
          )}
          <Field
            label={t`E-mail`}
            large
            type="email"
            autoComplete="username"
            autoFocus
            value={email}
            onChange={(e) => setEmail(e.target.value)}
          />
          <PasswordField
            label={t`Password`}
            large
            autoComplete="current-password"
            value={password}
            onChange={(e) => setPassword(e.target.value)}
          />
          {error && <Note tone="bad">{error}</Note>}
          <Button look="primary" size="large" wide type="submit" disabled={busy || !email || !password}>
            {busy ? <Trans>Signing in…</Trans> : <Trans>Sign in</Trans>}
          </Button>
          <p className="xs t3">
            {instance.signup_open ? (
              <Link href="/setup">
                <Trans>Create an account</Trans>
              </Link>
            ) : (
              <Trans>No account, or the password is lost? Ask your admin.</Trans>
            )}
          </p>
        </form>
      </main>
      <LanguageSwitch />
    </div>
  )
}
