import { Trans, useLingui } from '@lingui/react/macro'
import { useMutation, useQuery } from '@tanstack/react-query'
import { type ReactNode, useState } from 'react'
import { del } from '../api/client'
import { apiKeysQuery, modelsQuery, queryClient } from '../api/queries'
import type { ApiKey, NewApiKey } from '../api/types'
import { Button } from '../ui/Button'
import { usePerPeriod } from '../ui/budgets'
import { CopyButton } from '../ui/CopyButton'
import { Confirm } from '../ui/Dialog'
import { useErrorText } from '../ui/errors'
import { Field } from '../ui/Field'
import { useFormat } from '../ui/format'
import { CardSkeleton, LoadError } from '../ui/Load'
import { unlessUnsaved } from '../ui/leave'
import { Note } from '../ui/Note'
import { ShowOnce } from '../ui/ShowOnce'
import { usePageTitle } from '../ui/title'
import './keys.css'
import { KeyDialog } from './KeyDialog'

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

/** The keys for other programs: made, shown once, revoked. */
export function ApiKeyPage() {
  const { t } = useLingui()
  const { data: keys, error, refetch } = useQuery(apiKeysQuery)
  const [made, setMade] = useState<NewApiKey | null>(null)
  const [making, setMaking] = useState(false)
  usePageTitle(t`API keys`)
  const base = `${location.origin}/v1`
  return (
    <div className="wrap narrow">
      <div className="head">
        <div className="space">
          <h1>
            <Trans>API keys</Trans>
          </h1>
          <p>
            <Trans>For editors, scripts and any OpenAI-compatible program. What they use counts as yours.</Trans>
          </p>
        </div>
        <Button look="primary" onClick={() => unlessUnsaved(() => setMaking(true))}>
          <Trans>Make a key</Trans>
        </Button>
      </div>
      {error && !keys && <LoadError error={error} onRetry={() => refetch()} />}
      {!keys && !error && <CardSkeleton heights={[170]} />}
      {made && (
        <section className="card panel stack" style={{ marginBottom: 12 }}>
          <ShowOnce
            key={made.id}
            title={<Trans>Your key is ready.</Trans>}
            label={t`Key`}
            copy={t`Copy key`}
            secret={made.api_key}
            file="mai-api-key.txt"
            onStored={() => setMade(null)}
          >
            <Trans>Copy it now: it is not shown again.</Trans>
          </ShowOnce>
        </section>
      )}
      {keys && (
        <section className="card panel stack">
          {keys.length === 0 ? (
            <p className="t2">
              <Trans>You have no key yet.</Trans>
            </p>
          ) : (
            <ul className="key-list" aria-label={t`API keys`}>
              {keys.map((key) => (
                <KeyRow key={key.id} apiKey={key} onRevoked={() => made?.id === key.id && setMade(null)} />
              ))}
            </ul>
          )}
          <Field
            label={t`Base URL`}
            mono
            readOnly
            value={base}
            onFocus={(e) => e.target.select()}
            inside={<CopyButton text={base} label={t`Copy address`} />}
          />
        </section>
      )}
      {keys && <Examples base={base} />}
      {making && <KeyDialog onMade={setMade} onClose={() => setMaking(false)} />}
    </div>
  )
}

function KeyRow({ apiKey, onRevoked }: { apiKey: ApiKey; onRevoked: () => void }) {
  const { t } = useLingui()
  const f = useFormat()
  const per = usePerPeriod()
  const errorText = useErrorText()
  const [asking, setAsking] = useState(false)
  const revoke = useMutation({
    mutationFn: () => del<void>(`/api-keys/${apiKey.id}`),
    onSuccess: async () => {
      setAsking(false)
      onRevoked()
      await queryClient.invalidateQueries({ queryKey: apiKeysQuery.queryKey })
    },
  })
  const models = apiKey.models.join(', ')
  return (
    <li>
      <div className="row">
        <b className="ellipsis">{apiKey.name}</b>
        <span className="mono sm t2">sk-…{apiKey.last4}</span>
        {apiKey.expired && (
          <span className="badge warn">
            <Trans>Expired</Trans>
          </span>
        )}
        <span className="space" />
        <Button look="danger" size="small" onClick={() => setAsking(true)} aria-label={t`Revoke ${apiKey.name}`}>
          <Trans>Revoke</Trans>
        </Button>
      </div>
      <p className="xs t3">
        <Trans>Made {f.dateTime(apiKey.created_at)}.</Trans>{' '}
        {apiKey.last_used_at ? (
          <Trans>Last used {f.dateTime(apiKey.last_used_at)}.</Trans>
        ) : (
          <Trans>Not used yet.</Trans>
        )}{' '}
        {apiKey.expires_at && !apiKey.expired && <Trans>Expires {f.dateTime(apiKey.expires_at)}.</Trans>}{' '}
        {models && <Trans>Only for {models}.</Trans>}
      </p>
      {apiKey.budgets.map((b) => (
        <p key={b.period} className="xs t3 tn">
          <Trans>
            {f.shortMoney(b.spent)} of {f.shortMoney(b.limit)}
          </Trans>{' '}
          {per(b.period)}. <Trans>Resets {f.utcTime(b.resets_at)}</Trans>
        </p>
      ))}
      {revoke.error && <Note tone="bad">{errorText(revoke.error)}</Note>}
      <Confirm
        title={t`Revoke ${apiKey.name}`}
        verb={t`Revoke`}
        danger
        open={asking}
        busy={revoke.isPending}
        onConfirm={() => revoke.mutate()}
        onClose={() => setAsking(false)}
      >
        <Trans>Programs that use this key stop working at once.</Trans>
      </Confirm>
    </li>
  )
}
