import { Trans } from '@lingui/react/macro'
import type { OwnBudget } from '../api/types'
import { BudgetBar, BudgetOf } from './BudgetBar'
import { useOwnBudgetName, usePerPeriod } from './budgets'
import { useFormat } from './format'

/** A budget that limits the person: with amounts where nobody else spends from it, else in words. */
export function OwnBudgetPart({ budget }: { budget: OwnBudget }) {
  const f = useFormat()
  const per = usePerPeriod()
  const ownName = useOwnBudgetName()
  const { limit, spent, held, remaining } = budget
  return (
    <>
      <div className="block-head">
        <h2 className="ellipsis">{ownName(budget)}</h2>
        <span className="sm t2">{per(budget.period)}</span>
        <span className="space" />
        {limit !== null && spent !== null && <BudgetOf spent={spent} limit={limit} />}
      </div>
      {limit !== null && spent !== null && held !== null && remaining !== null ? (
        <BudgetBar budget={{ limit, spent, held, remaining, resets_at: budget.resets_at }} />
      ) : (
        <div className="row xs t3 tn budget-line">
          <span className="space">
            {budget.level === 'used' ? (
              <Trans>It is used up.</Trans>
            ) : budget.level === 'near' ? (
              <Trans>Less than a fifth of it is left.</Trans>
            ) : (
              <Trans>There is enough left.</Trans>
            )}
          </span>
          <span>
            <Trans>Resets {f.utcTime(budget.resets_at)}</Trans>
          </span>
        </div>
      )}
    </>
  )
}
