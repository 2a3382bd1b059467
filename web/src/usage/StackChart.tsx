import { Trans, useLingui } from '@lingui/react/macro'
import { type KeyboardEvent, useCallback, useState } from 'react'
import type { UsagePart, UsageStep } from '../api/types'
import { useFormat } from '../ui/format'
import { axis, compareMoney, share } from '../ui/money'

export type Metric = 'charge' | 'tokens' | 'requests'

const height = 200
const bottom = 22
const top = 8

/** A figure of a part as decimal text, so that amounts and counts are drawn alike. */
const figure = (part: UsagePart, metric: Metric) => (metric === 'charge' ? part.charge : String(part[metric]))

/** How a series is coloured: the first five, then the rest. */
export const colour = (index: number, series: number) => (index < series ? `var(--c${index + 1})` : 'var(--c-other)')

/**
 * Days or months as stacked bars, with a mark for the period before. Below it stand the figures of one: of the one under the
 * pointer, or the one that the arrow keys chose. All of them are in the table, too.
 */
export default function StackChart(props: {
  steps: UsageStep[]
  names: string[]
  metric: Metric
  series: number
  onStep: (date: string) => void
}) {
  const { t } = useLingui()
  const f = useFormat()
  const [span, setSpan] = useState(0)
  const box = useCallback((element: HTMLElement | null) => {
    if (!element) return
    const measure = () => setSpan(element.clientWidth)
    measure()
    const seen = new ResizeObserver(measure)
    seen.observe(element)
    return () => seen.disconnect()
  }, [])
  const { metric, names, steps } = props
  const months = steps[0]?.date.length === 7
  const [at, setAt] = useState<number | null>(null)
  const chosen = at !== null && at < steps.length ? at : null

  const previous = (step: UsageStep) => (metric === 'charge' ? (step.previous ?? '0') : '0')
  const largest = steps
    .flatMap((step) => [figure(step, metric), previous(step)])
    .reduce((most, value) => (compareMoney(value, most) > 0 ? value : most), '0')
  const ticks = axis(largest).filter((tick) => metric === 'charge' || !tick.includes('.'))
  const most = ticks.at(-1) ?? '1'
  const decimals = Math.max(...ticks.map((tick) => tick.split('.')[1]?.length ?? 0))
  const amount = (tick: string) => (metric === 'charge' ? f.axisMoney(tick, decimals) : f.tokens(Number(tick)))
  const exact = (value: string) => (metric === 'charge' ? f.plainMoney(value) : f.number(Number(value)))
  // The widest label decides where the bars begin; 6.6 is about the width of a figure at this size.
  const left = Math.max(...ticks.map((tick) => amount(tick).length)) * 6.6 + 12
  const plot = height - bottom - top
  const y = (value: string) => top + plot * (1 - share(value, most))
  const each = (span - left) / steps.length
  const bar = Math.min(each * 0.72, 34)
  const named = months || steps.length > 40
  const every = Math.ceil((months ? 80 : named ? 52 : 44) / each)

  // A name is wider than the room that the last of many bars leaves beside it.
  const atEnd = (i: number) => named && i === steps.length - 1 && each < 50

  const onKey = (e: KeyboardEvent) => {
    const last = steps.length - 1
    const next = {
      ArrowRight: Math.min((chosen ?? -1) + 1, last),
      ArrowLeft: Math.max((chosen ?? last + 1) - 1, 0),
      Home: 0,
      End: last,
    }[e.key]
    const step = steps[chosen ?? -1]
    if (next !== undefined) {
      e.preventDefault()
      setAt(next)
    } else if (e.key === 'Enter' && step) props.onStep(step.date)
    else if (e.key === 'Escape') setAt(null)
  }
  const step = chosen === null ? undefined : steps[chosen]
  return (
    <>
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms */}
      <div
        role="group"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: its bars are chosen with the arrow keys
        tabIndex={0}
        className="chart-box"
        ref={box}
        aria-label={t`Bars. Arrow keys choose one, Enter filters by it.`}
        onKeyDown={onKey}
        onPointerLeave={() => setAt(null)}
      >
        {span > 0 && (
          <svg className="chart" viewBox={`0 0 ${span} ${height}`} aria-hidden="true">
            {ticks.map((tick) => (
              <g key={tick}>
                <line x1={left} x2={span} y1={y(tick)} y2={y(tick)} />
                <text x={left - 8} y={y(tick) + 4} textAnchor="end">
                  {amount(tick)}
                </text>
              </g>
            ))}
            {steps.map((step, i) => {
              const x = left + each * i + (each - bar) / 2
              let from = height - bottom
              return (
                // biome-ignore lint/a11y/noStaticElementInteractions: the keys are those of the chart
                <g
                  key={step.date}
                  className={i === chosen ? 'day on' : 'day'}
                  onPointerEnter={() => setAt(i)}
                  onClick={() => props.onStep(step.date)}
                >
                  <rect x={left + each * i} y={top} width={each} height={plot} className="hit" />
                  {step.parts.map((part, index) => {
                    const size = plot * share(figure(part, metric), most)
                    from -= size
                    // Parts are told apart by a gap, as long as there is room for one.
                    return size > 0 ? (
                      <rect
                        // biome-ignore lint/suspicious/noArrayIndexKey: the series never change their places
                        key={index}
                        x={x}
                        y={from}
                        width={bar}
                        height={Math.max(size - (size > 2.4 ? 1.2 : 0), 0.4)}
                        rx={size > 3 ? 1.5 : 0}
                        fill={colour(index, props.series)}
                      />
                    ) : null
                  })}
                  {metric === 'charge' && step.previous !== null && (
                    <rect className="before" x={x - 2} width={bar + 4} height={2} y={y(step.previous) - 1} />
                  )}
                  {(steps.length - 1 - i) % every === 0 && (
                    <text x={x + (atEnd(i) ? bar : bar / 2)} y={height - 4} textAnchor={atEnd(i) ? 'end' : 'middle'}>
                      {named ? f.step(step.date) : Number(step.date.slice(-2))}
                    </text>
                  )}
                </g>
              )
            })}
          </svg>
        )}
      </div>
      <p className="readout xs tn" aria-live="polite">
        {step ? (
          <>
            <b>{f.step(step.date)}</b> {exact(figure(step, metric))}
            {step.parts.map((part, i) =>
              figure(part, metric) === '0' ? null : (
                <span key={names[i]}>
                  <i style={{ background: colour(i, props.series) }} />
                  {names[i]} {metric === 'charge' ? f.money(part.charge) : f.tokens(Number(figure(part, metric)))}
                </span>
              ),
            )}
            {metric === 'charge' && step.previous !== null && (
              <span>
                <i className="before" />
                <Trans>before: {f.money(step.previous)}</Trans>
              </span>
            )}
          </>
        ) : (
          <Trans>Point at a bar, or use the arrow keys, for its figures. The line is the period before.</Trans>
        )}
      </p>
    </>
  )
}
