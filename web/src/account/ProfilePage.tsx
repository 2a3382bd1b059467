import { useLingui as useI18n } from '@lingui/react'
import { Trans, useLingui } from '@lingui/react/macro'
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { post } from '../api/client'
import { meQuery } from '../api/queries'
import type { Locale } from '../api/types'
import { Button } from '../ui/Button'
import { FormDialog } from '../ui/Dialog'
import { useErrorText } from '../ui/errors'
import { Field, PasswordField, Segmented } from '../ui/Field'
import { chooseLocale } from '../ui/i18n'
import { Note } from '../ui/Note'
import { usePageTitle } from '../ui/title'
import { shortestPassword } from './AuthParts'

function PasswordForm() {
  const { t } = useLingui()
  const errorText = useErrorText()
  const [current, setCurrent] = useState('')
  const [next, setNext] = useState('')
  const change = useMutation({
    mutationFn: () => post('/auths/password', { current, new: next }),
    onSuccess: () => {
      setCurrent('')
      setNext('')
    },
  })
  const short = next !== '' && next.length < shortestPassword
  return (
    <form
      className="card panel"
      onSubmit={(e) => {
        e.preventDefault()
        if (current && next.length >= shortestPassword && !change.isPending) change.mutate()
      }}
    >
      <h2>
        <Trans>Password</Trans>
      </h2>
      <p className="t2 sm">
        <Trans>Changing it signs you out everywhere else.</Trans>
      </p>
      <div className="stack">
        <PasswordField
          label={t`Current password`}
          autoComplete="current-password"
          value={current}
          onChange={(e) => setCurrent(e.target.value)}
        />
        <PasswordField
          label={t`New password`}
          autoComplete="new-password"
          value={next}
          onChange={(e) => setNext(e.target.value)}
          help={short ? undefined : t`At least ${shortestPassword} characters.`}
          error={short ? t`Use at least ${shortestPassword} characters.` : null}
        />
        {change.error && <Note tone="bad">{errorText(change.error)}</Note>}
        {change.isSuccess && !next && (
          <Note tone="good">
            <Trans>Password changed. Other sessions have ended.</Trans>
          </Note>
        )}
        <div className="dialog-actions" style={{ marginTop: 0 }}>
          <Button
            look="primary"
            type="submit"
            disabled={!current || next.length < shortestPassword || change.isPending}
          >
            <Trans>Change password</Trans>
          </Button>
        </div>
      </div>
    </form>
  )
}

/** Deletes the own account, with a password as the proof. */
function EraseAccount() {
  const { t } = useLingui()
  const errorText = useErrorText()
  const [asking, setAsking] = useState(false)
  const [password, setPassword] = useState('')
  const erase = useMutation({
    mutationFn: () => post('/auths/erase', { password }),
    onSuccess: () => location.assign('/'),
  })
  return (
    <section className="card panel">
      <h2>
        <Trans>Delete account</Trans>
      </h2>
      <p className="t2 sm">
        <Trans>
          Your account, all your chats and your API keys are deleted for good. What you spent stays in the company’s
          books without your name.
        </Trans>
      </p>
      <div className="dialog-actions" style={{ marginTop: 14 }}>
        <Button onClick={() => setAsking(true)}>
          <Trans>Delete account…</Trans>
        </Button>
      </div>
      <FormDialog
        title={t`Delete account`}
        verb={t`Delete account`}
        danger
        open={asking}
        busy={erase.isPending || !password}
        error={erase.error ? errorText(erase.error) : null}
        onSubmit={() => erase.mutate()}
        onClose={() => {
          setAsking(false)
          setPassword('')
          erase.reset()
        }}
      >
        <p className="t2">
          <Trans>This cannot be undone: nobody can bring your chats back.</Trans>
        </p>
        <PasswordField
          label={t`Current password`}
          autoComplete="current-password"
          data-autofocus
          value={password}
          onChange={(e) => setPassword(e.target.value)}
        />
      </FormDialog>
    </section>
  )
}

export function ProfilePage() {
  const { t } = useLingui()
  const { i18n } = useI18n()
  const { data: me } = useQuery(meQuery)
  usePageTitle(t`Profile`)
  return (
    <div className="wrap narrow">
      <div className="head">
        <div>
          <h1>
            <Trans>Profile</Trans>
          </h1>
          <p>
            {me?.role === 'admin' ? (
              <Trans>You are an admin here.</Trans>
            ) : (
              <Trans>Your account in this workspace.</Trans>
            )}
          </p>
        </div>
      </div>
      <section className="card panel stack">
        <Field label={t`Name`} value={me?.name ?? ''} readOnly disabled />
        <Field
          label={t`E-mail`}
          value={me?.email ?? ''}
          readOnly
          disabled
          help={
            me?.role === 'admin' ? t`Names are changed under Users.` : t`To change your name or e-mail, ask an admin.`
          }
        />
        <div className="field">
          <div className="field-label">
            <Trans>Language</Trans>
          </div>
          <Segmented<Locale>
            label={t`Language`}
            value={i18n.locale === 'pl' ? 'pl' : 'en'}
            onChange={(locale) => void chooseLocale(locale)}
            options={[
              { value: 'en', label: 'English' },
              { value: 'pl', label: 'Polski' },
            ]}
          />
          <div className="field-help">
            <Trans>Kept in this browser.</Trans>
          </div>
        </div>
      </section>
      <PasswordForm />
      <EraseAccount />
    </div>
  )
}
