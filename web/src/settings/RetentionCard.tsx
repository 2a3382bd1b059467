import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { get, put } from '../api/client'
import { queryClient, retentionQuery } from '../api/queries'
import type { Retention } from '../api/types'
import { Button } from '../ui/Button'
import { Confirm } from '../ui/Dialog'
import { useErrorText } from '../ui/errors'
import { Field, Segmented } from '../ui/Field'
import { Note } from '../ui/Note'

const longest = 3650

/** What an admin changes: for ever, or so many days. It asks first, and says how many chats go at once. */
function RetentionForm({ retention }: { retention: Retention }) {
  const { t } = useLingui()
  const errorText = useErrorText()
  const [limited, setLimited] = useState(retention.days !== null)
  const [text, setText] = useState(String(retention.days ?? 90))
  const [asking, setAsking] = useState(false)
  const number = /^\d{1,5}$/.test(text.trim()) ? Number(text) : 0
  const valid = !limited || (number >= 1 && number <= longest)
  const days = limited ? number : null
  const expiring = useQuery({
    queryKey: ['retention', 'expiring', number],
    queryFn: () => get<{ chats: number }>(`/retention/expiring?days=${number}`),
    enabled: asking && limited && valid,
    staleTime: 0,
  })
  const save = useMutation({
    mutationFn: () => put<Retention>('/retention', { days }),
    onSuccess: (saved) => queryClient.setQueryData(retentionQuery.queryKey, saved),
    onSettled: () => setAsking(false),
  })
  const changed = days !== retention.days
  return (
    <form
      className="stack"
      style={{ marginTop: 14 }}
      onSubmit={(e) => {
        e.preventDefault()
        if (!changed || !valid) return
        if (days === null) save.mutate()
        else setAsking(true)
      }}
    >
      <div className="row">
        <Segmented
          label={t`How long chats are kept`}
          value={limited ? 'days' : 'ever'}
          options={[
            { value: 'ever', label: t`Without a limit` },
            { value: 'days', label: t`For some days` },
          ]}
          onChange={(value) => setLimited(value === 'days')}
        />
      </div>
      {limited && (
        <Field
          label={t`Days after the last message`}
          inputMode="numeric"
          value={text}
          onChange={(e) => setText(e.target.value)}
          error={valid ? null : t`Enter a number from 1 to ${longest}.`}
        />
      )}
      {save.error && <Note tone="bad">{errorText(save.error)}</Note>}
      {changed && (
        <div className="dialog-actions" style={{ marginTop: 0 }}>
          <Button look="primary" type="submit" disabled={!valid || save.isPending}>
            <Trans>Save</Trans>
          </Button>
        </div>
      )}
      <Confirm
        title={t`Delete old chats`}
        verb={t`Delete old chats`}
        danger
        open={asking}
        busy={save.isPending || !expiring.data}
        onConfirm={() => save.mutate()}
        onClose={() => setAsking(false)}
      >
        <p>
          {expiring.data && (
            <Plural
              value={expiring.data.chats}
              _0="No chat is that old now."
              one="# chat of everybody is that old and is deleted at once, for good."
              other="# chats of everybody are that old and are deleted at once, for good."
            />
          )}{' '}
          <Trans>The books keep what chats cost. Everybody sees the rule under the message box.</Trans>
        </p>
        {expiring.error && <Note tone="bad">{errorText(expiring.error)}</Note>}
      </Confirm>
    </form>
  )
}

/** How long chats are kept: told to everybody, changed by an admin. */
export function RetentionCard({ admin }: { admin: boolean }) {
  const errorText = useErrorText()
  const { data: retention, error } = useQuery(retentionQuery)
  if (!retention) return error ? <Note tone="bad">{errorText(error)}</Note> : null
  return (
    <section className="card panel">
      <h2>
        <Trans>How long chats are kept</Trans>
      </h2>
      <p className="t2 sm" role="status">
        {retention.days ? (
          <Plural
            value={retention.days}
            one="A chat is deleted for good # day after its last message. What it cost stays in the books."
            other="A chat is deleted for good # days after its last message. What it cost stays in the books."
          />
        ) : (
          <Trans>Until you delete them.</Trans>
        )}
      </p>
      {admin && <RetentionForm key={retention.days} retention={retention} />}
    </section>
  )
}
