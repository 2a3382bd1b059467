import { useLingui } from '@lingui/react/macro'
import type { UsageSummary } from '../api/types'
import { useFormat } from '../ui/format'
import { axis, compareMoney, share } from '../ui/money'
import { usePhone } from '../ui/phone'

type Days = UsageSummary['days']

const width = 860
const height = 200
const bottom = 22

/** Charge per day as bars. The same figures are in the table view, which is what a screen reader gets. */
export function DayChart({ days }: { days: Days }) {
  const { t } = useLingui()
  const f = useFormat()
  const phone = usePhone()
  const shown = phone ? days.slice(-14) : days
  const largest = shown.reduce((most, day) => (compareMoney(day.charge, most) > 0 ? day.charge : most), '0')
  const ticks = axis(largest)
  const top = ticks.at(-1) ?? '1'
  // All labels have the decimals of the finest one.
  const decimals = Math.max(...ticks.map((tick) => tick.split('.')[1]?.length ?? 0))
  const amount = (tick: string) => f.axisMoney(tick, decimals)
  // The widest label decides where the bars begin; 6.6 is about the width of a figure at this size.
  const left = Math.max(...ticks.map((tick) => amount(tick).length)) * 6.6 + 12
  const span = phone ? 340 : width
  const plot = height - bottom - 8
  const y = (charge: string) => 8 + plot * (1 - share(charge, top))
  const step = (span - left) / Math.max(shown.length, phone ? 10 : 16)
  const bar = Math.min(step * 0.72, 34)
  const label = (date: string) => Number(date.slice(-2))
  const every = shown.length > 16 && !phone ? 2 : phone ? 2 : 1
  return (
    <svg className="chart" viewBox={`0 0 ${span} ${height}`} role="img" aria-label={t`Charge per day`}>
      {ticks.map((tick) => (
        <g key={tick}>
          <line x1={left} x2={span} y1={y(tick)} y2={y(tick)} />
          <text x={left - 8} y={y(tick) + 4} textAnchor="end">
            {amount(tick)}
          </text>
        </g>
      ))}
      {shown.map((day, i) => {
        const x = left + step * i + (step - bar) / 2
        const from = y(day.charge)
        return (
          <g key={day.date}>
            <title>{`${f.date(day.date)}: ${f.plainMoney(day.charge)}`}</title>
            <rect x={left + step * i} y={8} width={step} height={plot} fill="transparent" />
            <rect className="bar-day" x={x} y={from} width={bar} height={Math.max(0, 8 + plot - from)} rx={2} />
            {(shown.length - 1 - i) % every === 0 && (
              <text x={x + bar / 2} y={height - 4} textAnchor="middle">
                {label(day.date)}
              </text>
            )}
          </g>
        )
      })}
    </svg>
  )
}
