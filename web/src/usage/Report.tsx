import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { IconTable } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense, useState } from 'react'
import { Link } from 'wouter'
import { navigate } from 'wouter/use-browser-location'
import { usageReportQuery } from '../api/queries'
import type { UsageBy, UsageReport, UsageRow } from '../api/types'
import { IconButton } from '../ui/Button'
import { DataTable } from '../ui/DataTable'
import { Segmented } from '../ui/Field'
import { useFormat } from '../ui/format'
import { CardSkeleton, LoadError } from '../ui/Load'
import { compareMoney, share } from '../ui/money'
import { only, query, type Shown } from './filters'
import { useDimensions, useUsageNames } from './names'
import { useRate } from './Rate'
import type { Metric } from './StackChart'

// The figures are read first; the drawing comes after them.
const StackChart = lazy(() => import('./StackChart'))

/** Days or months as the chart has them, for whoever reads rather than looks. */
function StepTable({ report, names }: { report: UsageReport; names: string[] }) {
  const { t } = useLingui()
  const f = useFormat()
  return (
    <DataTable
      style={{ margin: '6px -18px -14px' }}
      columns={[
        { label: report.step === 'month' ? t`Month` : t`Day` },
        { label: t`Requests`, className: 'n' },
        { label: t`Charge`, className: 'n' },
        ...names.map((name) => ({ label: name, className: 'n desktop-only-cell' })),
        { label: t`Before`, className: 'n desktop-only-cell' },
      ]}
    >
      <tbody>
        {report.steps.toReversed().map((step) => (
          <tr key={step.date}>
            <td>{f.step(step.date)}</td>
            <td className="n">{f.number(step.requests)}</td>
            <td className="n strong">{f.money(step.charge)}</td>
            {names.map((name, i) => (
              <td key={name} className="n desktop-only-cell">
                {f.money(step.parts[i]?.charge ?? '0')}
              </td>
            ))}
            <td className="n desktop-only-cell t3">{f.money(step.previous)}</td>
          </tr>
        ))}
      </tbody>
      <tfoot>
        <tr>
          <td>
            {report.step === 'month' ? (
              <Plural value={report.steps.length} one="# month" other="# months" />
            ) : (
              <Plural value={report.steps.length} one="# day" other="# days" />
            )}
          </td>
          <td className="n">{f.number(report.total.requests)}</td>
          <td className="n">{f.money(report.total.charge)}</td>
          {names.map((name) => (
            <td key={name} className="desktop-only-cell" />
          ))}
          <td className="n desktop-only-cell" />
        </tr>
      </tfoot>
    </DataTable>
  )
}

/** What this period is beside the one before, in words. */
function Compared({ report }: { report: UsageReport }) {
  const f = useFormat()
  const { total, previous } = report
  const more = compareMoney(total.charge, previous.charge) >= 0
  const change = share(more ? previous.charge : total.charge, more ? total.charge : previous.charge)
  const percent = f.percent(more ? 1 / change - 1 : 1 - change)
  if (change < 0.001) return <Trans>before: {f.money(previous.charge)}</Trans>
  if (more && change < 0.1) {
    const times = f.number(Math.round(1 / change))
    return (
      <Trans>
        {times} times as much as before ({f.money(previous.charge)})
      </Trans>
    )
  }
  return more ? (
    <Trans>
      {percent} more than before ({f.money(previous.charge)})
    </Trans>
  ) : (
    <Trans>
      {percent} less than before ({f.money(previous.charge)})
    </Trans>
  )
}

function Steps(props: { report: UsageReport; by: UsageBy; shown: Shown; admin: boolean; choose: boolean }) {
  const { report, by, shown } = props
  const months = report.step === 'month'
  const { t } = useLingui()
  const words = useDimensions()
  const name = useUsageNames()
  const [table, setTable] = useState(false)
  const [metric, setMetric] = useState<Metric>('charge')
  const rest = report.rows.length - report.series.length
  const names = report.series.map((key) => name(by, report.rows.find((row) => row.key === key) ?? { key, name: '' }))
  if (rest > 0) names.push(t`Other, ${rest}`)
  const options: UsageBy[] = props.admin ? ['model', 'user', 'team', 'kind', 'key'] : ['model', 'kind', 'key']
  return (
    <section className="card block" aria-label={months ? t`Months` : t`Days`}>
      <div className="block-head">
        <h2>{months ? t`Charge per month` : t`Charge per day`}</h2>
        <span className="xs t3 space zone">
          {months ? (
            <Trans>months in UTC, as they are billed</Trans>
          ) : report.period.month && report.period.zone !== 'UTC' ? (
            <Trans>days in {report.period.zone}, month in UTC</Trans>
          ) : (
            <Trans>days in {report.period.zone}</Trans>
          )}
        </span>
        {props.choose && (
          <Segmented
            label={t`Parted by`}
            value={by}
            options={options.slice(0, 3).map((value) => ({ value, label: words[value] }))}
            onChange={(next) => navigate(shown.to({ by: next }), { replace: true })}
          />
        )}
        <Segmented
          label={t`What the bars show`}
          value={metric}
          options={[
            { value: 'charge', label: t`Charge` },
            { value: 'tokens', label: t`Tokens` },
            { value: 'requests', label: t`Requests` },
          ]}
          onChange={setMetric}
        />
        <IconButton
          label={t`Show as table`}
          icon={IconTable}
          small
          aria-pressed={table}
          onClick={() => setTable(!table)}
        />
      </div>
      <p className="xs t3 tn compared">
        <Compared report={report} />
      </p>
      {table ? (
        <StepTable report={report} names={names} />
      ) : (
        <>
          <ul className="legend">
            {names.map((text, i) => {
              const key = report.series[i]
              return (
                <li key={text}>
                  <i style={{ background: i < report.series.length ? `var(--c${i + 1})` : 'var(--c-other)' }} />
                  {key === undefined ? text : <Link href={shown.to({}, only(by, key))}>{text}</Link>}
                </li>
              )
            })}
          </ul>
          <div className="chart-space">
            <Suspense fallback={null}>
              <StackChart
                steps={report.steps}
                names={names}
                metric={metric}
                series={report.series.length}
                onStep={(date) =>
                  shown.set(months ? { month: date, from: '', to: '' } : { month: '', from: date, to: date })
                }
              />
            </Suspense>
          </div>
        </>
      )}
    </section>
  )
}

/** The rows of a report. Its last row is their sum. */
function Rows({ report, by, shown, whole }: { report: UsageReport; by: UsageBy; shown: Shown; whole: boolean }) {
  const { t } = useLingui()
  const f = useFormat()
  const words = useDimensions()
  const name = useUsageNames()
  const rate = useRate(shown)
  const { total, rows } = report
  const wide = whole ? 'n wide-cell' : 'none'
  const titles: Record<UsageBy, string> = {
    user: t`By user`,
    model: t`By model`,
    team: t`By team`,
    kind: t`By source`,
    key: t`By API key`,
  }
  const ms = (value: number | null) => (value === null ? '—' : f.duration(value))
  const percent = (row: UsageRow) => f.percent(share(row.charge, total.charge))
  const counted = rows.filter((row) => row.key !== '').length
  return (
    <section className="card block tables">
      <div className="block-head">
        <h2 className="space">{titles[by]}</h2>
      </div>
      <DataTable
        columns={[
          { label: words[by] },
          { label: t`Requests`, className: 'n desktop-only-cell' },
          { label: t`Tokens in`, className: wide },
          { label: t`Tokens out`, className: wide },
          { label: t`Tokens`, className: whole ? 'none' : 'n desktop-only-cell' },
          { label: t`Errors`, className: wide },
          { label: t`Mean time`, className: wide },
          { label: t`Charge`, className: 'n' },
          ...(rate ? [{ label: rate.currency, className: 'n desktop-only-cell' }] : []),
          { label: t`Share`, className: 'share-cell' },
        ]}
      >
        <tbody>
          {rows.map((row) => (
            <tr key={row.key}>
              <td className="ellipsis model-name" title={row.detail || row.key}>
                <Link href={shown.to({}, only(by, row.key))} className="plain">
                  {name(by, row)}
                </Link>
              </td>
              <td className="n desktop-only-cell">{f.number(row.requests)}</td>
              <td className={wide}>{f.tokens(row.prompt_tokens)}</td>
              <td className={wide}>{f.tokens(row.completion_tokens)}</td>
              <td className={whole ? 'none' : 'n desktop-only-cell'}>
                {f.tokens(row.prompt_tokens + row.completion_tokens)}
              </td>
              <td className={wide}>{f.number(row.errors)}</td>
              <td className={wide}>{ms(row.latency_ms)}</td>
              <td className="n strong">{f.money(row.charge)}</td>
              {rate && <td className="n t2 desktop-only-cell">{f.foreign(row.charge, rate)}</td>}
              <td className="share-cell">
                <div className="row share">
                  <div className="bar">
                    <i style={{ width: `${share(row.charge, rows[0]?.charge ?? '0') * 100}%` }} />
                  </div>
                  <span className="xs tn t2">{percent(row)}</span>
                </div>
              </td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <td>
              {by === 'user' ? (
                <Plural value={counted} one="# user" other="# users" />
              ) : by === 'model' ? (
                <Plural value={counted} one="# model" other="# models" />
              ) : by === 'team' ? (
                <Plural value={counted} one="# team" other="# teams" />
              ) : (
                <Trans>Total</Trans>
              )}
            </td>
            <td className="n desktop-only-cell">{f.number(total.requests)}</td>
            <td className={wide}>{f.tokens(total.prompt_tokens)}</td>
            <td className={wide}>{f.tokens(total.completion_tokens)}</td>
            <td className={whole ? 'none' : 'n desktop-only-cell'}>
              {f.tokens(total.prompt_tokens + total.completion_tokens)}
            </td>
            <td className={wide}>{f.number(total.errors)}</td>
            <td className={wide}>{ms(total.latency_ms)}</td>
            <td className="n">{f.money(total.charge)}</td>
            {rate && <td className="n desktop-only-cell">{f.foreign(total.charge, rate)}</td>}
            <td className="share-cell" />
          </tr>
        </tfoot>
      </DataTable>
    </section>
  )
}

/** A period by one thing: its days or months as a chart, and the sums. */
export function Report(props: { by: UsageBy; shown: Shown; admin: boolean; whole?: boolean }) {
  const { by, shown, admin } = props
  const report = useQuery(usageReportQuery(query(shown.filters), by))
  if (!report.data) {
    return report.error ? (
      <LoadError error={report.error} onRetry={report.refetch} />
    ) : (
      <CardSkeleton heights={[352, 300]} />
    )
  }
  return (
    <div className={report.isPlaceholderData ? 'stale' : undefined}>
      {report.error && <LoadError error={report.error} onRetry={report.refetch} />}
      {report.data.rows.length === 0 ? (
        <section className="card block">
          <p className="t2">
            <Trans>Nothing was used in this period.</Trans>
          </p>
          <p className="xs t3 tn">
            <Compared report={report.data} />
          </p>
        </section>
      ) : (
        <>
          <Steps report={report.data} by={by} shown={shown} admin={admin} choose={!props.whole} />
          <Rows report={report.data} by={by} shown={shown} whole={props.whole ?? false} />
        </>
      )}
    </div>
  )
}
