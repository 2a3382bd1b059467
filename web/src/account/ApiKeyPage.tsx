import { Trans, useLingui } from '@lingui/react/macro'
import { useMutation, useQuery } from '@tanstack/react-query'
import { type ReactNode, useState } from 'react'
import { del, post } from '../api/client'
import { apiKeyQuery, modelsQuery, queryClient } from '../api/queries'
import { Button } from '../ui/Button'
import { CopyButton } from '../ui/CopyButton'
import { Confirm } from '../ui/Dialog'
import { useErrorText } from '../ui/errors'
import { Field } from '../ui/Field'
import { useFormat } from '../ui/format'
import { CardSkeleton, LoadError } from '../ui/Load'
import { Note } from '../ui/Note'
import { usePageTitle } from '../ui/title'

/** A command that can be copied as it is, in words and on a button. */
function Command({ title, text, copy }: { title: ReactNode; text: string; copy: string }) {
  return (
    <div className="field">
      <div className="row">
        <span className="field-label space">{title}</span>
        <CopyButton text={text} label={copy} />
      </div>
      {/* It scrolls sideways, and so has to be reached by keys. */}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: see above */}
      <pre className="command mono" tabIndex={0}>
        {text}
      </pre>
    </div>
  )
}

/** How to call the workspace from a terminal. */
function Examples({ base }: { base: string }) {
  const { t } = useLingui()
  const { data: models } = useQuery(modelsQuery)
  const model = models?.find((m) => m.prompt_price !== null && m.completion_price !== null && !m.refused)?.id
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }] })
  const key = '  -H "Authorization: Bearer $MAI_KEY"'
  return (
    <section className="card panel stack">
      <div>
        <h2>
          <Trans>Try it in a terminal</Trans>
        </h2>
        <p className="sm t2" style={{ marginTop: 4 }}>
          <Trans>
            Put your key into the variable MAI_KEY first: <code className="mono">export MAI_KEY=sk-…</code>
          </Trans>
        </p>
      </div>
      {model && (
        <Command
          title={<Trans>Ask a model</Trans>}
          copy={t`Copy the command that asks a model`}
          text={`curl ${base}/chat/completions \\\n${key} \\\n  -H "Content-Type: application/json" \\\n  -d '${body}'`}
        />
      )}
      <Command
        title={<Trans>List the models</Trans>}
        copy={t`Copy the command that lists the models`}
        text={`curl ${base}/models \\\n${key}`}
      />
    </section>
  )
}

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
            <Trans>For editors, scripts and any OpenAI-compatible program. What it uses counts as yours.</Trans>
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
      {info && <Examples base={base} />}
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
