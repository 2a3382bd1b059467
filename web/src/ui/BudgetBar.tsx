import { Trans } from '@lingui/react/macro'
import { useFormat } from './format'
import { compareMoney, isZero, share } from './money'

interface Amounts {
  limit: string
  spent: string
  held: string
  remaining: string
  /** Null for never. */
  resets_at: string | null
}

/** How much of a limit is spent. */
export function BudgetOf({ spent, limit }: { spent: string; limit: string }) {
  const f = useFormat()
  return (
    <span className="sm tn t2 budget-of">
      <Trans>
        <b>{f.shortMoney(spent)}</b> of {f.shortMoney(limit)}
      </Trans>
    </span>
  )
}

/** How much of a budget is spent, held and left, and when it begins anew. What is held may come back: only what is spent is used up. */
export function BudgetBar({ budget }: { budget: Amounts }) {
  const f = useFormat()
  const used = compareMoney(budget.spent, budget.limit) >= 0
  const spent = used ? 1 : share(budget.spent, budget.limit)
  const tone = used ? 'bad' : spent >= 0.8 ? 'warn' : ''
  return (
    <>
      <div className={`bar budget-bar ${tone}`}>
        <i style={{ width: `${spent * 100}%` }} />
      </div>
      <div className="row xs t3 tn budget-line">
        <span className="space">
          {used ? <Trans>It is used up.</Trans> : <Trans>{f.shortMoney(budget.remaining)} left</Trans>}
          {!isZero(budget.held) && (
            <>
              , <Trans>{f.shortMoney(budget.held)} held by open requests</Trans>
            </>
          )}
        </span>
        <span>
          {budget.resets_at ? <Trans>Resets {f.utcTime(budget.resets_at)}</Trans> : <Trans>Never resets</Trans>}
        </span>
      </div>
    </>
  )
}
