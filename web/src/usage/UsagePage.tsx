import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { IconChevronLeft, IconChevronRight, IconTable } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import './usage.css'
import { accuracyQuery, usageQuery } from '../api/queries'
import type { UsageSummary } from '../api/types'
import { Button, IconButton } from '../ui/Button'
import { DataTable } from '../ui/DataTable'
import { useErrorText } from '../ui/errors'
import { useFormat } from '../ui/format'
import { ExactMoney } from '../ui/Money'
import { Note } from '../ui/Note'
import { usePageTitle } from '../ui/title'
import { BudgetCard } from './BudgetCard'
import { DayChart } from './DayChart'
import { AccuracyCard, ByModel, ByTeam, ByUser, Recent } from './UsageTables'

/** The UTC month of now, as `2026-11`: books are kept in UTC. */
const thisMonth = () => new Date().toISOString().slice(0, 7)

/** The month before or after. */
export function shiftMonth(month: string, by: number): string {
  const [year, of] = month.split('-').map(Number) as [number, number]
  return new Date(Date.UTC(year, of - 1 + by, 1)).toISOString().slice(0, 7)
}

function Stats({ usage, current }: { usage: UsageSummary; current: boolean }) {
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

function Days({ days }: { days: UsageSummary['days'] }) {
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

/** What was used and what it is charged, for the admin. */
export function UsagePage() {
  const { t } = useLingui()
  const f = useFormat()
  const errorText = useErrorText()
  const [month, setMonth] = useState(thisMonth)
  const usage = useQuery(usageQuery(month))
  const accuracy = useQuery(accuracyQuery)
  const current = month === thisMonth()
  usePageTitle(t`Usage`)
  const data = usage.data
  return (
    <div className="wrap">
      <div className="head" style={{ alignItems: 'center' }}>
        <h1 className="space">
          <Trans>Usage</Trans>
        </h1>
        {data && (
          <span className="live">
            <span className={usage.isError ? 'dot warn' : 'dot good'} />
            {usage.isError ? (
              <Trans>Reconnecting</Trans>
            ) : (
              <Trans>Live · {f.timeSeconds(new Date(usage.dataUpdatedAt))}</Trans>
            )}
          </span>
        )}
      </div>
      <div className="row" style={{ marginBottom: 14 }}>
        <IconButton
          label={t`Previous month`}
          icon={IconChevronLeft}
          small
          onClick={() => setMonth(shiftMonth(month, -1))}
        />
        <span className="strong tn">{f.month(month)}</span>
        <IconButton
          label={t`Next month`}
          icon={IconChevronRight}
          small
          disabled={current}
          onClick={() => setMonth(shiftMonth(month, 1))}
        />
      </div>
      {usage.error && !data && (
        <Note tone="bad">
          {errorText(usage.error)}{' '}
          <Button size="small" onClick={() => usage.refetch()}>
            <Trans>Retry</Trans>
          </Button>
        </Note>
      )}
      {!data && !usage.error && <Skeleton />}
      {data && (
        <div className={usage.isPlaceholderData ? 'stale' : undefined}>
          <Stats usage={data} current={current} />
          {current && <BudgetCard budget={data.budget} />}
          <Days days={data.days} />
          <ByUser usage={data} />
          <ByTeam usage={data} />
          <ByModel usage={data} />
          <Recent items={data.recent} />
          {accuracy.data && <AccuracyCard accuracy={accuracy.data} />}
        </div>
      )}
    </div>
  )
}

function Skeleton() {
  return (
    <div aria-hidden="true" style={{ display: 'grid', gap: 12 }}>
      {[98, 92, 256, 300].map((height) => (
        <span key={height} className="skeleton" style={{ height, borderRadius: 10, background: 'var(--sunken)' }} />
      ))}
    </div>
  )
}
