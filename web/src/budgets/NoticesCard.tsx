import { Trans, useLingui } from '@lingui/react/macro'
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { del, post, put } from '../api/client'
import { noticesQuery, queryClient } from '../api/queries'
import type { BudgetAlert, EmailSettings } from '../api/types'
import { useAlertWords } from '../ui/alerts'
import { Button } from '../ui/Button'
import { Confirm, FormDialog } from '../ui/Dialog'
import { useErrorText } from '../ui/errors'
import { Field, PasswordField, SelectField } from '../ui/Field'
import { useFormat } from '../ui/format'
import { Note } from '../ui/Note'
import { ShowOnce } from '../ui/ShowOnce'
import { toast } from '../ui/toasts'

const refresh = () => queryClient.invalidateQueries({ queryKey: noticesQuery.queryKey })

/** Alerts of budgets, what became of each, and where they are sent. */
export function NoticesCard() {
  const { t } = useLingui()
  const { data } = useQuery(noticesQuery)
  const [editing, setEditing] = useState<'email' | 'webhook' | null>(null)
  const [secret, setSecret] = useState<string | null>(null)
  if (!data) return null
  return (
    <section className="card panel stack notices">
      <div>
        <h2>
          <Trans>Alerts</Trans>
        </h2>
        <p className="sm t2">
          <Trans>Each is told once a period. What cannot be delivered is tried again for two days.</Trans>
        </p>
      </div>
      <Channel
        kind="email"
        name={t`E-mail`}
        removing={t`Remove the e-mail`}
        target={data.email ? data.email.to.join(', ') : null}
        onEdit={() => setEditing('email')}
      />
      <Channel
        kind="webhook"
        name={t`Webhook`}
        removing={t`Remove the webhook`}
        target={data.webhook?.url ?? null}
        onEdit={() => setEditing('webhook')}
        onRemoved={() => setSecret(null)}
      />
      {secret && (
        <ShowOnce
          key={secret}
          title={<Trans>Webhooks are signed with this secret. It is not shown again.</Trans>}
          label={t`Secret`}
          copy={t`Copy the secret`}
          secret={secret}
          file="mai-webhook-secret.txt"
          onStored={() => setSecret(null)}
        />
      )}
      {data.alerts.length === 0 ? (
        <p className="sm t2">
          <Trans>No budget has passed an alert yet.</Trans>
        </p>
      ) : (
        <ul className="alert-list" aria-label={t`Alerts`}>
          {data.alerts.map((a) => (
            <AlertRow key={a.id} alert={a} />
          ))}
        </ul>
      )}
      {editing === 'email' && <EmailDialog now={data.email} onClose={() => setEditing(null)} />}
      {editing === 'webhook' && (
        <WebhookDialog now={data.webhook?.url ?? ''} onSecret={setSecret} onClose={() => setEditing(null)} />
      )}
    </section>
  )
}

function Channel(props: {
  kind: 'email' | 'webhook'
  name: string
  /** The title of what asks before it is removed. */
  removing: string
  target: string | null
  onEdit: () => void
  onRemoved?: () => void
}) {
  const { t } = useLingui()
  const errorText = useErrorText()
  const { kind, name, target } = props
  const [asking, setAsking] = useState(false)
  const test = useMutation({
    mutationFn: () => post(`/notices/${kind}/test`),
    onSuccess: () => toast(t`The test is sent.`),
  })
  const remove = useMutation({
    mutationFn: () => del(`/notices/${kind}`),
    onSuccess: async () => {
      test.reset()
      props.onRemoved?.()
      await refresh()
    },
    onSettled: () => setAsking(false),
  })
  const failure = test.error ?? remove.error
  return (
    <div>
      <div className="row channel">
        <b>{name}</b>
        <span className="sm t2 ellipsis space">{target ?? <Trans>Not set up</Trans>}</span>
        {target && (
          <>
            <Button
              size="small"
              disabled={test.isPending}
              onClick={() => test.mutate()}
              aria-label={t`Send a test: ${name}`}
            >
              {test.isPending ? <Trans>Sending…</Trans> : <Trans>Send a test</Trans>}
            </Button>
            <Button size="small" look="danger" onClick={() => setAsking(true)} aria-label={t`Remove: ${name}`}>
              <Trans>Remove</Trans>
            </Button>
          </>
        )}
        <Button size="small" onClick={props.onEdit} aria-label={t`Set up: ${name}`}>
          {target ? <Trans>Change</Trans> : <Trans>Set up</Trans>}
        </Button>
      </div>
      {failure && <Note tone="bad">{errorText(failure)}</Note>}
      <Confirm
        title={props.removing}
        verb={t`Remove`}
        danger
        open={asking}
        busy={remove.isPending}
        onConfirm={() => remove.mutate()}
        onClose={() => setAsking(false)}
      >
        <Trans>Alerts are no longer sent to: {target}</Trans>
      </Confirm>
    </div>
  )
}

function AlertRow({ alert }: { alert: BudgetAlert }) {
  const { t } = useLingui()
  const f = useFormat()
  const { whose, what } = useAlertWords()
  const by = { email: t`E-mail`, webhook: t`Webhook` }
  return (
    <li className="sm">
      <b>{whose(alert)}</b> {what(alert)}{' '}
      <span className="xs t3">
        {f.dateTime(alert.at)}
        {alert.deliveries.map((d) => (
          <span key={d.channel}>
            {' · '}
            {by[d.channel]}:{' '}
            {d.state === 'sent' && d.sent_at ? (
              <Trans>sent {f.dateTime(d.sent_at)}</Trans>
            ) : d.next_at ? (
              <Trans>
                {d.last_error || '—'}, next try {f.dateTime(d.next_at)}
              </Trans>
            ) : (
              <Trans>given up: {d.last_error}</Trans>
            )}
          </span>
        ))}
      </span>
    </li>
  )
}

function EmailDialog({ now, onClose }: { now: EmailSettings | null; onClose: () => void }) {
  const { t } = useLingui()
  const errorText = useErrorText()
  const [s, setS] = useState(
    now ?? { host: '', port: 587, tls: 'starttls' as const, username: '', from: '', to: [] as string[] },
  )
  const [to, setTo] = useState(s.to.join(', '))
  const [password, setPassword] = useState('')
  const save = useMutation({
    mutationFn: () => put('/notices/email', { ...s, to: to.split(/[\s,;]+/).filter(Boolean), password }),
    onSuccess: async () => {
      await refresh()
      onClose()
    },
  })
  return (
    <FormDialog
      title={t`Alerts by e-mail`}
      verb={t`Save`}
      open
      busy={save.isPending}
      error={save.error ? errorText(save.error) : null}
      onSubmit={() => save.mutate()}
      onClose={onClose}
    >
      <Field
        label={t`Mail server`}
        data-autofocus
        value={s.host}
        onChange={(e) => setS({ ...s, host: e.target.value })}
      />
      <Field
        label={t`Port`}
        inputMode="numeric"
        value={s.port || ''}
        onChange={(e) => setS({ ...s, port: Number.parseInt(e.target.value, 10) || 0 })}
      />
      <SelectField
        label={t`Encryption`}
        value={s.tls}
        onChange={(tls) => setS({ ...s, tls: tls as EmailSettings['tls'] })}
        options={[
          { value: 'starttls', label: 'STARTTLS' },
          { value: 'tls', label: 'TLS' },
          { value: 'none', label: t`None, without a password` },
        ]}
      />
      <Field
        label={t`User name`}
        autoComplete="off"
        value={s.username}
        onChange={(e) => setS({ ...s, username: e.target.value })}
      />
      <PasswordField
        label={t`Password`}
        autoComplete="new-password"
        value={password}
        placeholder={now?.username ? t`Saved` : ''}
        onChange={(e) => setPassword(e.target.value)}
      />
      <Field label={t`From`} type="email" value={s.from} onChange={(e) => setS({ ...s, from: e.target.value })} />
      <Field label={t`To`} value={to} onChange={(e) => setTo(e.target.value)} help={t`Several with commas.`} />
    </FormDialog>
  )
}

function WebhookDialog(props: { now: string; onSecret: (secret: string) => void; onClose: () => void }) {
  const { t } = useLingui()
  const errorText = useErrorText()
  const [url, setUrl] = useState(props.now)
  const save = useMutation({
    mutationFn: () => put<{ secret: string }>('/notices/webhook', { url: url.trim() }),
    onSuccess: async ({ secret }) => {
      props.onSecret(secret)
      await refresh()
      props.onClose()
    },
  })
  return (
    <FormDialog
      title={t`Alerts by webhook`}
      verb={t`Save`}
      open
      busy={save.isPending}
      error={save.error ? errorText(save.error) : null}
      onSubmit={() => save.mutate()}
      onClose={props.onClose}
    >
      <Field
        label={t`Address`}
        type="url"
        data-autofocus
        placeholder="https://"
        value={url}
        onChange={(e) => setUrl(e.target.value)}
        help={t`Saving makes a new secret.`}
      />
    </FormDialog>
  )
}
