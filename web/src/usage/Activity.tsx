import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { IconMessage, IconSearch } from '@tabler/icons-react'
import { useInfiniteQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { Link } from 'wouter'
import { navigate } from 'wouter/use-browser-location'
import { usageCallsQuery } from '../api/queries'
import type { IntentState, UsageCall } from '../api/types'
import { Button, Glyph } from '../ui/Button'
import { DataTable } from '../ui/DataTable'
import { daysAgo, useFormat } from '../ui/format'
import { CardSkeleton, LoadError } from '../ui/Load'
import { ExactMoney } from '../ui/Money'
import { usePhone } from '../ui/phone'
import { query, type Shown } from './filters'
import { shortModel, useStates, useUsageNames } from './names'

/** How a state looks when it is not the usual one. */
const tone: Partial<Record<IntentState, string>> = {
  pending: 'badge warn',
  unknown: 'badge bad',
  free: 'badge',
  created: 'badge',
  sent: 'badge accent',
  headers: 'badge accent',
  streaming: 'badge accent',
}

function Search({ shown, admin }: { shown: Shown; admin: boolean }) {
  const { t } = useLingui()
  const [text, setText] = useState(shown.search)
  useEffect(() => {
    if (text === shown.search) return
    const timer = setTimeout(() => navigate(shown.to({ search: text }), { replace: true }), 300)
    return () => clearTimeout(timer)
  }, [text, shown])
  return (
    <div className="input soft search">
      <Glyph icon={IconSearch} small />
      <input
        type="search"
        aria-label={admin ? t`Search by person, model or id` : t`Search by model or id`}
        placeholder={admin ? t`Person, model or id` : t`Model or id`}
        value={text}
        onChange={(e) => setText(e.target.value)}
      />
    </div>
  )
}

function Row({ call, admin }: { call: UsageCall; admin: boolean }) {
  const { t } = useLingui()
  const f = useFormat()
  const states = useStates()
  const name = useUsageNames()
  const badge = tone[call.state]
  const phone = usePhone()
  const [at, now] = [new Date(call.occurred_at), new Date()]
  const sameYear = at.getFullYear() === now.getFullYear()
  const when = daysAgo(at, now) === 0 ? f.timeSeconds : sameYear ? f.dayTime : f.dateTime
  const count = call.prompt_tokens + call.completion_tokens
  const shown = f.tokens(count)
  const source = name('kind', { key: call.kind, name: '' })
  return (
    <tr>
      <td className="tn t2" title={call.generation_id ?? call.intent_id}>
        {when(call.occurred_at)}
        <div className="xs t3 mobile-only">{source}</div>
      </td>
      {admin && (
        <td>
          <div className="ellipsis model-name">{name('user', { key: call.user_id, name: call.user_name })}</div>
          <div className="xs t3 ellipsis model-name mobile-only">{shortModel(call.model)}</div>
        </td>
      )}
      <td className={admin ? 'desktop-only-cell' : undefined}>
        <div className="ellipsis model-name" title={call.model}>
          {shortModel(call.model)}
        </div>
      </td>
      <td className="t2 desktop-only-cell">
        {call.chat_id ? (
          <Link href={`/c/${call.chat_id}`} className="row" aria-label={t`Open the chat`}>
            <Glyph icon={IconMessage} small />
            {source}
          </Link>
        ) : (
          (call.key_name && `${source}: ${call.key_name}`) || source
        )}
      </td>
      <td className="n desktop-only-cell">{call.prompt_tokens ? f.tokens(call.prompt_tokens) : '—'}</td>
      <td className="n desktop-only-cell">{call.completion_tokens ? f.tokens(call.completion_tokens) : '—'}</td>
      <td className="n wide-cell">{call.latency_ms === null ? '—' : f.duration(call.latency_ms)}</td>
      <td className="desktop-only-cell">
        {badge ? (
          <span className={badge}>{states[call.state]}</span>
        ) : (
          <span className="sm t2">{states[call.state]}</span>
        )}
      </td>
      <td className="n strong nw">
        {call.charge === null ? (
          `≤ ${f.shortMoney(call.at_most)}`
        ) : phone ? (
          f.money(call.charge)
        ) : (
          <ExactMoney amount={call.charge} weight={400} />
        )}
        <div className="xs t3 mobile-only under">
          {badge ? (
            <span className={badge}>{states[call.state]}</span>
          ) : (
            <Plural value={count} one={`${shown} token`} other={`${shown} tokens`} />
          )}
        </div>
      </td>
    </tr>
  )
}

/** The single calls, the newest first. */
export default function Activity({ shown, admin }: { shown: Shown; admin: boolean }) {
  const { t } = useLingui()
  const states = useStates()
  const params = new URLSearchParams(query(shown.filters))
  if (shown.search) params.set('q', shown.search)
  if (shown.state) params.set('state', shown.state)
  const calls = useInfiniteQuery(usageCallsQuery(params.toString()))
  const all = !shown.search && !shown.state && !query(shown.filters, false)
  const items = calls.data?.pages.flatMap((page) => page.items) ?? []
  const several: [string, string][] = [
    ['', t`All states`],
    ['settled', states.settled],
    ['sent,headers,streaming', states.streaming],
    ['pending', states.pending],
    ['unknown', states.unknown],
    ['free', states.free],
  ]
  return (
    <>
      <div className="row activity-bar">
        <Search shown={shown} admin={admin} />
        <div className={shown.state ? 'chip on' : 'chip'}>
          <select
            aria-label={t`State`}
            value={shown.state}
            onChange={(e) => navigate(shown.to({ state: e.target.value }), { replace: true })}
          >
            {several.map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        </div>
      </div>
      {calls.error && <LoadError error={calls.error} onRetry={calls.refetch} />}
      {!calls.data && !calls.error && <CardSkeleton heights={[420]} />}
      {calls.data && (
        <section className={`card tables recent ${calls.isPlaceholderData ? 'stale' : ''}`} aria-label={t`Requests`}>
          <DataTable
            columns={[
              { label: t`Time` },
              ...(admin ? [{ label: t`User` }] : []),
              { label: t`Model`, className: admin ? 'desktop-only-cell' : undefined },
              { label: t`Source`, className: 'desktop-only-cell' },
              { label: t`In`, className: 'n desktop-only-cell' },
              { label: t`Out`, className: 'n desktop-only-cell' },
              { label: t`Took`, className: 'n wide-cell' },
              { label: t`State`, className: 'desktop-only-cell' },
              { label: t`Charge`, className: 'n' },
            ]}
          >
            <tbody>
              {items.map((call) => (
                <Row key={call.intent_id} call={call} admin={admin} />
              ))}
            </tbody>
          </DataTable>
          {items.length === 0 && (
            <p className="t2 block-empty">
              {all ? <Trans>Nothing was used in this period.</Trans> : <Trans>No request is like this.</Trans>}
            </p>
          )}
        </section>
      )}
      {calls.hasNextPage && (
        <div className="row more">
          <Button size="small" disabled={calls.isFetchingNextPage} onClick={() => void calls.fetchNextPage()}>
            <Trans>Older</Trans>
          </Button>
        </div>
      )}
    </>
  )
}
