import { Trans, useLingui } from '@lingui/react/macro'
import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense, useEffect, useRef, useState } from 'react'
import { Link } from 'wouter'
import './usage.css'
import './chart.css'
import { meQuery, usageNowQuery } from '../api/queries'
import type { UsageBy } from '../api/types'
import { followUsage, type UsageLine } from '../api/usage-feed'
import { useFormat } from '../ui/format'
import { CardSkeleton } from '../ui/Load'
import { usePageTitle } from '../ui/title'
import { Cards } from './Cards'
import { FilterBar } from './FilterBar'
import { query, type Shown, type Tab, useShown } from './filters'
import { LimitsCard, OwnLimits } from './LimitsCard'
import { RateNote, useRate } from './Rate'
import { ReadingButton } from './Reading'
import { Report } from './Report'

const Activity = lazy(() => import('./Activity'))
const Pricing = lazy(() => import('./Pricing'))
const Accuracy = lazy(() => import('./Accuracy'))

/** Whether the page is told of changes, or asks for them; and when it last heard. */
function Live({ at }: { at: number }) {
  const f = useFormat()
  const [line, setLine] = useState<UsageLine>('live')
  useEffect(() => followUsage(setLine), [])
  const time = at > 0 ? f.timeSeconds(new Date(at)) : '—'
  return (
    <span className="live">
      <span className={line === 'live' ? 'dot good' : 'dot warn'} />
      <span role="status">{line === 'live' ? <Trans>Live</Trans> : <Trans>Asking every 30 s</Trans>}</span>
      <span>{time}</span>
    </span>
  )
}

function Tabs({ shown, admin }: { shown: Shown; admin: boolean }) {
  const { t } = useLingui()
  const nav = useRef<HTMLElement>(null)
  // On a phone the tabs are wider than the page.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the chosen tab decides which link is current
  useEffect(() => {
    nav.current?.querySelector('[aria-current]')?.scrollIntoView({ inline: 'center', block: 'nearest' })
  }, [shown.tab])
  const item = (tab: Tab, name: string) => (
    <Link href={shown.to({ tab, search: '', state: '' })} aria-current={shown.tab === tab ? 'page' : undefined}>
      <span data-name={name}>{name}</span>
    </Link>
  )
  return (
    <nav className="tabs" aria-label={t`Usage`} ref={nav}>
      {item('overview', t`Overview`)}
      {admin && item('users', t`By user`)}
      {item('models', t`By model`)}
      {admin && item('teams', t`By team`)}
      {item('keys', t`By API key`)}
      {item('activity', t`Activity`)}
      {item('pricing', t`Model pricing`)}
      {admin && item('accuracy', t`Accuracy`)}
    </nav>
  )
}

/** The tabs that are a report by one thing. */
const reports: Partial<Record<Tab, UsageBy>> = { users: 'user', models: 'model', teams: 'team', keys: 'key' }

/** Usage: everybody's for an admin, their own for everybody else. */
export function UsagePage() {
  const { t } = useLingui()
  const { data: me } = useQuery(meQuery)
  const admin = me?.role === 'admin'
  const shown = useShown(admin)
  const filter = query(shown.filters, false)
  const now = useQuery(usageNowQuery(filter))
  const by = reports[shown.tab]
  const rate = useRate(shown)
  usePageTitle(t`Usage`)
  return (
    <div className="wrap">
      <div className="head usage-head">
        <h1 className="space">
          <Trans>Usage</Trans>
        </h1>
        <Live at={now.dataUpdatedAt} />
        {admin && <ReadingButton />}
      </div>
      <Tabs shown={shown} admin={admin} />
      {shown.tab !== 'pricing' && <FilterBar shown={shown} admin={admin} />}
      {shown.tab === 'overview' && (
        <>
          {now.data ? (
            <div className={now.isPlaceholderData ? 'stale' : undefined}>
              <Cards now={now.data} rate={rate} />
              {now.data.limits && !filter && <LimitsCard limits={now.data.limits} />}
              {!filter && <OwnLimits admin={admin} />}
            </div>
          ) : (
            <CardSkeleton heights={admin ? [98, 112] : [98]} />
          )}
          <Report by={shown.by} shown={shown} admin={admin} />
        </>
      )}
      {by && <Report by={by} shown={shown} admin={admin} whole />}
      {(by || shown.tab === 'overview') && <RateNote shown={shown} />}
      <Suspense fallback={<CardSkeleton heights={[420]} />}>
        {shown.tab === 'activity' && <Activity shown={shown} admin={admin} />}
        {shown.tab === 'pricing' && <Pricing />}
        {shown.tab === 'accuracy' && <Accuracy shown={shown} />}
      </Suspense>
    </div>
  )
}
