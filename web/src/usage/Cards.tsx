import { Plural, Trans } from '@lingui/react/macro'
import type { UsageNow, UsageRate } from '../api/types'
import { useFormat } from '../ui/format'
import { ExactMoney } from '../ui/Money'
import { compareMoney } from '../ui/money'

/** Today and this month, of the calls that the filter is about. */
export function Cards({ now, rate }: { now: UsageNow; rate: UsageRate | null }) {
  const f = useFormat()
  const { today, total } = now
  const asked = f.number(today.requests)
  const budget = now.limits?.budgets.find((b) => b.period === 'month')
  const over = budget && now.projected && compareMoney(now.projected, budget.limit) > 0
  return (
    <dl className="stats" style={{ margin: 0 }}>
      <div className="stat">
        <dt>
          <Trans>Today</Trans>
        </dt>
        <dd className="figure">
          <ExactMoney amount={today.charge} weight={450} />
        </dd>
        <dd>
          {rate && `≈ ${f.foreign(today.charge, rate)} · `}
          <Plural
            value={today.requests}
            one={`${asked} request since midnight`}
            other={`${asked} requests since midnight`}
          />
        </dd>
      </div>
      <div className="stat">
        <dt>{f.monthName(now.month)}</dt>
        <dd className="figure">
          <ExactMoney amount={total.charge} weight={450} />
        </dd>
        <dd>
          {rate && `≈ ${f.foreign(total.charge, rate)} · `}
          <Trans>
            {f.tokens(total.prompt_tokens)} tokens in, {f.tokens(total.completion_tokens)} out
          </Trans>
        </dd>
      </div>
      <div className="stat">
        <dt>
          <Trans>Daily average</Trans>
        </dt>
        <dd className="figure">{f.shortMoney(now.daily_average)}</dd>
        <dd>
          {rate && `≈ ${f.foreign(now.daily_average, rate)} · `}
          <Trans>in {f.monthName(now.month)}, UTC days</Trans>
        </dd>
      </div>
      <div className="stat">
        <dt>
          <Trans>Expected month</Trans>
        </dt>
        <dd className="figure">{f.shortMoney(now.projected)}</dd>
        <dd>
          {rate && now.projected !== null && `≈ ${f.foreign(now.projected, rate)} · `}
          {now.projected === null ? (
            <Trans>after the first day</Trans>
          ) : over ? (
            <Trans>over the budget of {f.shortMoney(budget.limit)}</Trans>
          ) : (
            <Trans>at the pace so far</Trans>
          )}
        </dd>
      </div>
    </dl>
  )
}
