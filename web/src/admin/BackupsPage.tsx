import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { useMutation, useQuery } from '@tanstack/react-query'
import { type ReactNode, useState } from 'react'
import './admin.css'
import { post, put } from '../api/client'
import { queryClient } from '../api/queries'
import { Button } from '../ui/Button'
import { Switch } from '../ui/Check'
import { Confirm } from '../ui/Dialog'
import { useErrorText } from '../ui/errors'
import { Field } from '../ui/Field'
import { useFormat } from '../ui/format'
import { CardSkeleton, LoadError } from '../ui/Load'
import { Note } from '../ui/Note'
import { ShowOnce } from '../ui/ShowOnce'
import { usePageTitle } from '../ui/title'
import { type Backups, backupsQuery } from './backups'

function Fact({ name, children }: { name: ReactNode; children: ReactNode }) {
  return (
    <div>
      <dt className="t2">{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

/** The last backup that was proven, and the next. */
function State({ backups }: { backups: Backups }) {
  const f = useFormat()
  const errorText = useErrorText()
  const { last } = backups
  const now = useMutation({
    mutationFn: () => post<Backups>('/backups'),
    onSuccess: (data) => queryClient.setQueryData(backupsQuery.queryKey, data),
  })
  return (
    <section className="card panel stack">
      <div className="row">
        <h2 className="space">
          <Trans>Last verified backup</Trans>
        </h2>
        <Button disabled={backups.running || now.isPending} onClick={() => now.mutate()}>
          {backups.running ? <Trans>Being made…</Trans> : <Trans>Back up now</Trans>}
        </Button>
      </div>
      {last ? (
        <div className="verified">
          <dl>
            <Fact name={<Trans>Made</Trans>}>{f.dateTime(last.created_at)}</Fact>
            <Fact name={<Trans>Size</Trans>}>{f.bytes(last.size)}</Fact>
            <Fact name={<Trans>Encrypted</Trans>}>{last.encrypted ? <Trans>Yes</Trans> : <Trans>No</Trans>}</Fact>
            <Fact name={<Trans>Next</Trans>}>
              {backups.next ? f.dateTime(backups.next) : <Trans>Only when asked</Trans>}
            </Fact>
          </dl>
        </div>
      ) : (
        <p className="t2">
          <Trans>There is none yet.</Trans>
        </p>
      )}
      <p className="sm t2">
        {last && (
          <>
            <Trans>It was restored from where it is stored, and its ledger was verified:</Trans>{' '}
            <Plural value={last.entries} one="# entry." other="# entries." />{' '}
          </>
        )}
        <Plural value={backups.count} one="# backup is kept in" other="# backups are kept in" />{' '}
        <code className="mono" style={{ overflowWrap: 'anywhere' }}>
          {backups.folder}
        </code>
      </p>
      {(backups.failed || now.error) && (
        <Note tone="bad" title={<Trans>The last attempt failed.</Trans>}>
          {backups.failed ?? errorText(now.error)}
        </Note>
      )}
    </section>
  )
}

/** The copies that are kept away from this server. */
function Copies({ copies }: { copies: NonNullable<Backups['copies']> }) {
  const f = useFormat()
  const { last } = copies
  return (
    <section className="card panel stack">
      <h2>
        <Trans>Last copy off this server</Trans>
      </h2>
      {last ? (
        <div className="verified">
          <dl>
            <Fact name={<Trans>Made</Trans>}>{f.dateTime(last.created_at)}</Fact>
            <Fact name={<Trans>Read back</Trans>}>{f.dateTime(last.verified_at)}</Fact>
            <Fact name={<Trans>Size</Trans>}>{f.bytes(last.size)}</Fact>
          </dl>
        </div>
      ) : (
        <p className="t2">
          <Trans>There is none yet.</Trans>
        </p>
      )}
      <p className="sm t2">
        <Plural value={copies.count} one="# copy is kept in" other="# copies are kept in" />{' '}
        <code className="mono" style={{ overflowWrap: 'anywhere' }}>
          {copies.place}
        </code>
      </p>
      {copies.failed && (
        <Note tone="bad" title={<Trans>The last attempt to copy failed. It is made again within ten minutes.</Trans>}>
          {copies.failed}
        </Note>
      )}
    </section>
  )
}

/** Who can open the backups: the client's own key, and the provider only when it is let in. */
function Keys({ backups }: { backups: Backups }) {
  const { t } = useLingui()
  const f = useFormat()
  const errorText = useErrorText()
  const [secret, setSecret] = useState<string | null>(null)
  const [asking, setAsking] = useState(false)
  const own = backups.recipients.find((r) => r.keeper === 'client')
  const provider = backups.recipients.find((r) => r.keeper === 'provider')
  const make = useMutation({
    mutationFn: () => post<{ recovery_key: string }>('/backups/recovery-key'),
    onSuccess: async ({ recovery_key }) => {
      setSecret(recovery_key)
      setAsking(false)
      await queryClient.invalidateQueries({ queryKey: backupsQuery.queryKey })
    },
  })
  const letIn = useMutation({
    mutationFn: (allowed: boolean) => put<Backups>('/backups/provider', { allowed }),
    onSuccess: (data) => queryClient.setQueryData(backupsQuery.queryKey, data),
  })
  const problem = make.error ?? letIn.error
  return (
    <section className="card panel stack">
      <h2>
        <Trans>Who can open them</Trans>
      </h2>
      {secret ? (
        <ShowOnce
          title={<Trans>Your recovery key is ready.</Trans>}
          label={t`Recovery key`}
          copy={t`Copy the recovery key`}
          secret={secret}
          file="mai-recovery-key.txt"
          onStored={() => setSecret(null)}
        >
          <Trans>
            Copy it now and keep it away from this server: it is not shown again, and without it nobody can restore
            these backups.
          </Trans>
        </ShowOnce>
      ) : own ? (
        <Field
          label={t`Recovery key`}
          mono
          readOnly
          disabled
          value={own.key}
          help={
            <>
              <Trans>This is its public half, to which the backups are encrypted.</Trans>{' '}
              {own.added_at && <Trans>Made {f.dateTime(own.added_at)}.</Trans>}
            </>
          }
        />
      ) : (
        <p className="t2">
          {backups.recipients.length === 0 ? (
            <Trans>
              Nobody yet: the backups are not encrypted, stay on this server, and do not hold the saved OpenRouter key.
              Make a recovery key, which only you keep.
            </Trans>
          ) : (
            <Trans>You have no recovery key of your own yet.</Trans>
          )}
        </p>
      )}
      {!secret && (
        <div className="row">
          <Button disabled={make.isPending} onClick={() => (own ? setAsking(true) : make.mutate())}>
            {own ? <Trans>Make a new recovery key</Trans> : <Trans>Make a recovery key</Trans>}
          </Button>
        </div>
      )}
      {backups.recipients.some((r) => r.keeper === 'operator') && (
        <p className="sm t2">
          <Trans>Whoever runs this server has named a key in its settings and can open them too.</Trans>
        </p>
      )}
      {(backups.provider_offered || provider) && (
        <Switch
          label={t`Let your provider restore the backups`}
          help={
            provider?.added_at
              ? t`Your provider can open what is backed up, with all chats in it. Let in ${f.dateTime(provider.added_at)}.`
              : t`Your provider could then open what is backed up, with all chats in it. Without that only you can restore.`
          }
          checked={!!provider}
          disabled={letIn.isPending}
          onChange={(on) => letIn.mutate(on)}
        />
      )}
      {problem && <Note tone="bad">{errorText(problem)}</Note>}
      <Confirm
        title={t`Make a new recovery key?`}
        verb={t`Make a new recovery key`}
        open={asking}
        busy={make.isPending}
        onConfirm={() => make.mutate()}
        onClose={() => setAsking(false)}
      >
        <Trans>It opens the backups made from now on. Keep the present one: it opens those made before.</Trans>
      </Confirm>
    </section>
  )
}

/** The backups of the workspace, for its admins. */
export function BackupsPage() {
  const { t } = useLingui()
  const { data: backups, error, refetch } = useQuery(backupsQuery)
  usePageTitle(t`Backups`)
  return (
    <div className="wrap narrow">
      <div className="head">
        <div>
          <h1>
            <Trans>Backups</Trans>
          </h1>
          <p>
            <Trans>A copy of everything here. It counts only once it was restored and verified.</Trans>
          </p>
        </div>
      </div>
      {error && !backups && <LoadError error={error} onRetry={() => refetch()} />}
      {!backups && !error && <CardSkeleton heights={[190, 220]} />}
      {backups && (
        <div className="stack">
          <State backups={backups} />
          {backups.copies && <Copies copies={backups.copies} />}
          <Keys backups={backups} />
        </div>
      )}
    </div>
  )
}
