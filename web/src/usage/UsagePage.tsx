import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { IconChevronLeft, IconChevronRight, IconTable } from '@tabler/icons-react'
import { type UseQueryResult, useQuery } from '@tanstack/react-query'
import { type ReactNode, useState } from 'react'
import { Link, useSearch } from 'wouter'
import { navigate } from 'wouter/use-browser-location'
import './usage.css'
import { accuracyQuery, meQuery, ownUsageQuery, thisMonth, usageQuery } from '../api/queries'
import type { MonthUsage } from '../api/types'
import { IconButton } from '../ui/Button'
import { DataTable } from '../ui/DataTable'
import { useFormat } from '../ui/format'
import { CardSkeleton, LoadError } from '../ui/Load'
import { ExactMoney } from '../ui/Money'
import { usePageTitle } from '../ui/title'
import { BudgetCard } from './BudgetCard'
import { DayChart } from './DayChart'
import { AccuracyCard, ByModel, ByTeam, ByUser, Recent } from './UsageTables'

/** The month before or after. */
export function shiftMonth(month: string, by: number): string {
  const [year, of] = month.split('-').map(Number) as [number, number]
  return new Date(Date.UTC(year, of - 1 + by, 1)).toISOString().slice(0, 7)
}

function Stats({ usage, current }: { usage: MonthUsage; current: boolean }) {
  const f = useFormat()
  const { today, total } = usage
  const asked = today.requests
  const shown = f.number(asked)
  return (
    <dl className="stats" style={{ margin: 0 }}>
      <div className="stat">
        <dt>
          <Trans>Today</Trans>
        </dt>
        <dd className="figure">{current ? <ExactMoney amount={today.charge} weight={450} /> : '—'}</dd>
        <dd>
          {current && (
            <Plural
              value={asked}
              one={`${shown} request since 00:00 UTC`}
              other={`${shown} requests since 00:00 UTC`}
            />
          )}
        </dd>
      </div>
      <div className="stat">
        <dt>{f.monthName(usage.month)}</dt>
        <dd className="figure">
          <ExactMoney amount={total.charge} weight={450} />
        </dd>
        <dd>
          <Trans>exact, to the last digit</Trans>
        </dd>
      </div>
      <div className="stat">
        <dt>
          <Trans>Requests</Trans>
        </dt>
        <dd className="figure">{f.number(total.requests)}</dd>
        <dd>
          <Trans>in {f.monthName(usage.month)}</Trans>
        </dd>
      </div>
      <div className="stat">
        <dt>
          <Trans>Tokens</Trans>
        </dt>
        <dd className="figure">{f.tokens(total.prompt_tokens + total.completion_tokens)}</dd>
        <dd>
          <Trans>
            {f.tokens(total.prompt_tokens)} in, {f.tokens(total.completion_tokens)} out
          </Trans>
        </dd>
      </div>
    </dl>
  )
}

function Days({ days }: { days: MonthUsage['days'] }) {
  const { t } = useLingui()
  const f = useFormat()
  const [table, setTable] = useState(false)
  return (
    <section className="card block">
      <div className="block-head">
        <h2>
          <Trans>Charge per day</Trans>
        </h2>
        <span className="xs t3 space">
          <Trans>UTC days</Trans>
        </span>
        <IconButton
          label={t`Show as table`}
          icon={IconTable}
          small
          aria-pressed={table}
          onClick={() => setTable(!table)}
        />
      </div>
      {table ? (
        <DataTable
          style={{ margin: '6px -18px -14px' }}
          columns={[{ label: t`Day` }, { label: t`Requests`, className: 'n' }, { label: t`Charge`, className: 'n' }]}
        >
          <tbody>
            {days.toReversed().map((day) => (
              <tr key={day.date}>
                <td>{f.date(`${day.date}T12:00:00`)}</td>
                <td className="n">{f.number(day.requests)}</td>
                <td className="n">{f.money(day.charge)}</td>
              </tr>
            ))}
          </tbody>
        </DataTable>
      ) : (
        <DayChart days={days} />
      )}
    </section>
  )
}

type Tab = 'overview' | 'activity'

/** What the address says is shown: `?tab=activity&month=2026-10`. */
function useShown(): { tab: Tab; month: string; address: (tab: Tab, month: string) => string } {
  const search = new URLSearchParams(useSearch())
  const asked = search.get('month') ?? ''
  const now = thisMonth()
  return {
    tab: search.get('tab') === 'activity' ? 'activity' : 'overview',
    month: /^\d{4}-(0[1-9]|1[0-2])$/.test(asked) && asked < now ? asked : now,
    address: (tab, month) => {
      const next = new URLSearchParams()
      if (tab !== 'overview') next.set('tab', tab)
      if (month !== now) next.set('month', month)
      return next.size > 0 ? `/settings/usage?${next}` : '/settings/usage'
    },
  }
}

/** A month of usage below its heading, with the way to other months. */
function Month<T extends MonthUsage>(props: {
  usage: UseQueryResult<T>
  month: string
  go: (by: number) => void
  tabs?: ReactNode
  children: (data: T, current: boolean) => ReactNode
}) {
  const { t } = useLingui()
  const f = useFormat()
  const { usage, month, go } = props
  const current = month === thisMonth()
  usePageTitle(t`Usage`)
  return (
    <div className="wrap">
      <div className="head usage-head">
        <h1>
          <Trans>Usage</Trans>
        </h1>
      </div>
      {props.tabs}
      <div className="row month">
        <IconButton label={t`Previous month`} icon={IconChevronLeft} small onClick={() => go(-1)} />
        <span className="strong tn">{f.month(month)}</span>
        <IconButton label={t`Next month`} icon={IconChevronRight} small disabled={current} onClick={() => go(1)} />
        <span className="space" />
        {usage.data && (
          <span className="live">
            <span className={usage.isError ? 'dot warn' : 'dot good'} />
            {usage.isError ? (
              <Trans>Reconnecting</Trans>
            ) : (
              <Trans>Updated {f.timeSeconds(new Date(usage.dataUpdatedAt))}</Trans>
            )}
          </span>
        )}
      </div>
      {usage.error && !usage.data && <LoadError error={usage.error} onRetry={() => usage.refetch()} />}
      {!usage.data && !usage.error && <CardSkeleton heights={[98, 92, 256, 300]} />}
      {usage.data && (
        <div className={usage.isPlaceholderData ? 'stale' : undefined}>{props.children(usage.data, current)}</div>
      )}
    </div>
  )
}

/** What the company used and what it is charged, for the admin. */
function CompanyUsage() {
  const { t } = useLingui()
  const { tab, month, address } = useShown()
  const usage = useQuery(usageQuery(month))
  const accuracy = useQuery(accuracyQuery)
  const item = (to: Tab, name: string) => (
    <Link href={address(to, month)} aria-current={tab === to ? 'page' : undefined}>
      {name}
    </Link>
  )
  const tabs = (
    <nav className="tabs" aria-label={t`Usage`}>
      {item('overview', t`Overview`)}
      {item('activity', t`Activity`)}
    </nav>
  )
  return (
    <Month
      usage={usage}
      month={month}
      go={(by) => navigate(address(tab, shiftMonth(month, by)), { replace: true })}
      tabs={tabs}
    >
      {(data, current) =>
        tab === 'overview' ? (
          <>
            <Stats usage={data} current={current} />
            {current && <BudgetCard budget={data.budget} />}
            <Days days={data.days} />
            <ByUser usage={data} />
            <ByTeam usage={data} />
            <ByModel usage={data} />
          </>
        ) : (
          <>
            <Recent items={data.recent} />
            {accuracy.data && <AccuracyCard accuracy={accuracy.data} />}
          </>
        )
      }
    </Month>
  )
}

/** What people used themselves; nothing of others. */
function OwnUsage() {
  const { month, address } = useShown()
  const usage = useQuery(ownUsageQuery(month))
  return (
    <Month
      usage={usage}
      month={month}
      go={(by) => navigate(address('overview', shiftMonth(month, by)), { replace: true })}
    >
      {(data, current) => (
        <>
          <Stats usage={data} current={current} />
          <Days days={data.days} />
          <ByModel usage={data} />
          <Recent items={data.recent} own />
        </>
      )}
    </Month>
  )
}

/** Usage: the company's for an admin, their own for everybody else. */
export function UsagePage() {
  const { data: me } = useQuery(meQuery)
  return me?.role === 'admin' ? <CompanyUsage /> : <OwnUsage />
}
