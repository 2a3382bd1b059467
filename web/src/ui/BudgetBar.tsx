import { Trans } from '@lingui/react/macro'
import { useFormat } from './format'
import { isZero, share } from './money'

interface Amounts {
  limit: string
  spent: string
  held: string
  remaining: string
  resets_at: string
}

/** How much of a budget is spent, held and left, and when it begins anew. */
export function BudgetBar({ budget }: { budget: Amounts }) {
  const f = useFormat()
  const zero = isZero(budget.limit)
  const spent = zero ? 1 : share(budget.spent, budget.limit)
  const used = isZero(budget.remaining)
  const tone = used ? 'bad' : spent >= 0.8 ? 'warn' : ''
  return (
    <>
      <div className={`bar budget-bar ${tone}`}>
        <i style={{ width: `${spent * 100}%` }} />
      </div>
      <div className="row xs t3 tn budget-line">
        <span className="space">
          {used ? <Trans>The budget is used up.</Trans> : <Trans>{f.shortMoney(budget.remaining)} left</Trans>}
          {!isZero(budget.held) && (
            <>
              , <Trans>{f.shortMoney(budget.held)} held by open requests</Trans>
            </>
          )}
        </span>
        <span>
          <Trans>Resets {f.utcTime(budget.resets_at)}</Trans>
        </span>
      </div>
    </>
  )
}
