import { Trans, useLingui } from '@lingui/react/macro'
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { del, post } from '../api/client'
import { apiKeyQuery, queryClient } from '../api/queries'
import { Button } from '../ui/Button'
import { CopyButton } from '../ui/CopyButton'
import { Confirm } from '../ui/Dialog'
import { useErrorText } from '../ui/errors'
import { Field } from '../ui/Field'
import { useFormat } from '../ui/format'
import { CardSkeleton, LoadError } from '../ui/Load'
import { Note } from '../ui/Note'
import { usePageTitle } from '../ui/title'

/** The personal key for other programs: made, shown once, revoked. */
export function ApiKeyPage() {
  const { t } = useLingui()
  const f = useFormat()
  const errorText = useErrorText()
  const { data: info, error, refetch } = useQuery(apiKeyQuery)
  const [secret, setSecret] = useState<string | null>(null)
  const [asking, setAsking] = useState<'replace' | 'revoke' | null>(null)
  usePageTitle(t`API key`)
  const refresh = () => queryClient.invalidateQueries({ queryKey: apiKeyQuery.queryKey })
  const make = useMutation({
    mutationFn: () => post<{ api_key: string }>('/auths/api_key'),
    onSuccess: async ({ api_key }) => {
      setSecret(api_key)
      setAsking(null)
      await refresh()
    },
  })
  const revoke = useMutation({
    mutationFn: () => del<void>('/auths/api_key'),
    onSuccess: async () => {
      setSecret(null)
      setAsking(null)
      await refresh()
    },
  })
  const problem = make.error ?? revoke.error
  const base = `${location.origin}/v1`
  return (
    <div className="wrap narrow">
      <div className="head">
        <div>
          <h1>
            <Trans>API key</Trans>
          </h1>
          <p>
            <Trans>For editors, scripts and any program that speaks to OpenAI. What it uses counts as yours.</Trans>
          </p>
        </div>
      </div>
      {error && !info && <LoadError error={error} onRetry={() => refetch()} />}
      {!info && !error && <CardSkeleton heights={[170]} />}
      {info && (
        <section className="card panel stack">
          {secret ? (
            <>
              <Note tone="good" title={<Trans>Your key is ready.</Trans>}>
                <Trans>Copy it now: it is not shown again.</Trans>
              </Note>
              <Field
                label={t`Key`}
                mono
                readOnly
                value={secret}
                onFocus={(e) => e.target.select()}
                inside={<CopyButton text={secret} label={t`Copy key`} />}
              />
            </>
          ) : info.exists ? (
            <Field
              label={t`Key`}
              mono
              readOnly
              disabled
              value={`sk-…${info.last4 ?? ''}`}
              help={
                <>
                  {info.created_at && <Trans>Made {f.dateTime(info.created_at)}.</Trans>}{' '}
                  {info.last_used_at ? (
                    <Trans>Last used {f.dateTime(info.last_used_at)}.</Trans>
                  ) : (
                    <Trans>Not used yet.</Trans>
                  )}
                </>
              }
            />
          ) : (
            <p className="t2">
              <Trans>You have no key yet.</Trans>
            </p>
          )}
          <Field
            label={t`Base URL`}
            mono
            readOnly
            value={base}
            onFocus={(e) => e.target.select()}
            inside={<CopyButton text={base} label={t`Copy address`} />}
          />
          {problem && <Note tone="bad">{errorText(problem)}</Note>}
          <div className="dialog-actions" style={{ marginTop: 0 }}>
            {info.exists ? (
              <>
                <Button look="danger" onClick={() => setAsking('revoke')}>
                  <Trans>Revoke</Trans>
                </Button>
                <Button onClick={() => setAsking('replace')}>
                  <Trans>Replace</Trans>
                </Button>
              </>
            ) : (
              <Button look="primary" disabled={make.isPending} onClick={() => make.mutate()}>
                <Trans>Make a key</Trans>
              </Button>
            )}
          </div>
        </section>
      )}
      <Confirm
        title={t`Revoke key`}
        verb={t`Revoke`}
        danger
        open={asking === 'revoke'}
        busy={revoke.isPending}
        onConfirm={() => revoke.mutate()}
        onClose={() => setAsking(null)}
      >
        <Trans>Programs that use this key stop working at once.</Trans>
      </Confirm>
      <Confirm
        title={t`Replace key`}
        verb={t`Replace`}
        open={asking === 'replace'}
        busy={make.isPending}
        onConfirm={() => make.mutate()}
        onClose={() => setAsking(null)}
      >
        <Trans>The old key stops working at once. The new one is shown here, once.</Trans>
      </Confirm>
    </div>
  )
}
