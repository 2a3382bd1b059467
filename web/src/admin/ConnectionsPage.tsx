import { Trans, useLingui } from '@lingui/react/macro'
import { IconLock } from '@tabler/icons-react'
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import './admin.css'
import { ApiError, post, put } from '../api/client'
import { connectionQuery, meQuery, modelsQuery, queryClient } from '../api/queries'
import type { Connection, Verification } from '../api/types'
import { Button } from '../ui/Button'
import { useErrorText } from '../ui/errors'
import { Field } from '../ui/Field'
import { CardSkeleton, LoadError } from '../ui/Load'
import { Note } from '../ui/Note'
import { usePageTitle } from '../ui/title'
import { DataPolicyCard } from './DataPolicyCard'
import { VerifyResult } from './VerifyResult'

const usualUrl = 'https://openrouter.ai/api/v1'

interface Outcome {
  result: Verification
  at: Date
}

function Source({ connection }: { connection: Connection }) {
  switch (connection.source) {
    case 'saved':
      return <Trans>In force: the key saved here.</Trans>
    case 'environment':
      return <Trans>In force: the key from the server's environment. Saving a key here takes its place.</Trans>
    case 'file':
      return <Trans>In force: the key file on the server.</Trans>
    default:
      return (
        <Trans>
          No key yet. Make one at{' '}
          <a href="https://openrouter.ai/settings/keys" target="_blank" rel="noreferrer">
            openrouter.ai
          </a>{' '}
          and paste it here; until then nothing can be answered.
        </Trans>
      )
  }
}

function ConnectionForm({ connection }: { connection: Connection }) {
  const { t } = useLingui()
  const errorText = useErrorText()
  const [url, setUrl] = useState(connection.base_url || usualUrl)
  const [key, setKey] = useState('')
  const [replacing, setReplacing] = useState(!connection.key_hint)
  const [outcome, setOutcome] = useState<Outcome | null>(null)
  const [failure, setFailure] = useState<string | null>(null)
  const changed = key.trim() !== '' || url.trim() !== (connection.base_url || usualUrl)
  const body = () => ({ base_url: url.trim(), ...(key.trim() && { api_key: key.trim() }) })
  const settle = (result: Verification) => {
    setFailure(null)
    setOutcome({ result, at: new Date() })
  }
  const verify = useMutation({
    mutationFn: () => post<Verification>('/connection/verify', body()),
    onSuccess: settle,
    onError: (error) => {
      setOutcome(null)
      setFailure(errorText(error))
    },
  })
  const save = useMutation({
    mutationFn: () => put<Verification>('/connection', body()),
    onSuccess: async (result) => {
      settle({ ...result, saved: true })
      setKey('')
      setReplacing(false)
      await Promise.all([
        queryClient.invalidateQueries({ queryKey: connectionQuery.queryKey }),
        queryClient.invalidateQueries({ queryKey: meQuery.queryKey }),
        queryClient.invalidateQueries({ queryKey: modelsQuery.queryKey }),
      ])
    },
    onError: (error) => {
      const refused =
        error instanceof ApiError ? (error.body as { verify?: Verification } | undefined)?.verify : undefined
      if (refused) settle(refused)
      else {
        setOutcome(null)
        setFailure(errorText(error))
      }
    },
  })
  const busy = verify.isPending || save.isPending
  const badKey = !!outcome && !outcome.result.ok && !['wrong_url', 'no_network'].includes(outcome.result.problem)
  const badUrl = outcome?.result.problem === 'wrong_url'
  const discard = () => {
    setKey('')
    setUrl(connection.base_url || usualUrl)
    setReplacing(!connection.key_hint)
    setOutcome(null)
    setFailure(null)
  }
  const canVerify = !busy && (key.trim() !== '' || !!connection.key_hint)
  return (
    <form
      className="card panel stack"
      onSubmit={(e) => {
        e.preventDefault()
        if (changed && canVerify) save.mutate()
      }}
    >
      <div className="row">
        <h2>OpenRouter</h2>
        {connection.source !== 'none' ? (
          <span className="badge accent">
            <Trans>In use</Trans>
          </span>
        ) : (
          <span className="badge">
            <Trans>Not connected</Trans>
          </span>
        )}
      </div>
      {connection.managed && (
        <Note icon={IconLock} title={<Trans>Managed by your provider.</Trans>}>
          <Trans>Your provider keeps this key and replaces it when needed, so it cannot be changed here.</Trans>
        </Note>
      )}
      <Field
        label={t`Base URL`}
        mono
        spellCheck={false}
        autoComplete="off"
        value={url}
        disabled={connection.managed}
        onChange={(e) => setUrl(e.target.value)}
        bad={badUrl}
      />
      {replacing && !connection.managed ? (
        <Field
          label={t`API key`}
          mono
          spellCheck={false}
          autoComplete="off"
          placeholder="sk-or-v1-…"
          value={key}
          onChange={(e) => {
            setKey(e.target.value)
            setOutcome(null)
          }}
          bad={badKey}
          autoFocus={!!connection.key_hint}
          beside={
            <Button disabled={!canVerify} onClick={() => verify.mutate()}>
              {verify.isPending ? <Trans>Verifying…</Trans> : <Trans>Verify</Trans>}
            </Button>
          }
        />
      ) : (
        <Field
          label={t`API key`}
          mono
          readOnly
          value={connection.key_hint ?? ''}
          disabled={connection.managed}
          beside={
            <>
              {!connection.managed && (
                <Button disabled={busy} onClick={() => setReplacing(true)}>
                  <Trans>Replace</Trans>
                </Button>
              )}
              <Button disabled={!canVerify} onClick={() => verify.mutate()}>
                {verify.isPending ? <Trans>Verifying…</Trans> : <Trans>Verify</Trans>}
              </Button>
            </>
          }
        />
      )}
      <p className="field-help" style={{ marginTop: -10 }}>
        <Source connection={connection} />
      </p>
      {failure && <Note tone="bad">{failure}</Note>}
      {outcome && <VerifyResult result={outcome.result} at={outcome.at} />}
      {!connection.managed && (changed || replacing) && (
        <div className="dialog-actions" style={{ marginTop: 0 }}>
          {connection.key_hint && (
            <Button look="quiet" disabled={busy} onClick={discard}>
              <Trans>Discard</Trans>
            </Button>
          )}
          <Button look="primary" type="submit" disabled={!changed || !canVerify}>
            {save.isPending ? <Trans>Saving…</Trans> : <Trans>Save and verify</Trans>}
          </Button>
        </div>
      )}
    </form>
  )
}

/** Where model calls go, and with whose key. */
export function ConnectionsPage() {
  const { t } = useLingui()
  const { data, error, refetch } = useQuery(connectionQuery)
  usePageTitle(t`Connections`)
  return (
    <div className="wrap narrow">
      <div className="head">
        <div>
          <h1>
            <Trans>Connections</Trans>
          </h1>
          <p>
            <Trans>Where model calls go. Keys are write-only: a saved key is never shown again.</Trans>
          </p>
        </div>
      </div>
      {error && !data && <LoadError error={error} onRetry={() => refetch()} />}
      {!data && !error && <CardSkeleton heights={[300]} />}
      {data && <ConnectionForm connection={data} />}
      <DataPolicyCard />
    </div>
  )
}
