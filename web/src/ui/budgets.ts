// Words for budgets, as several pages say them.
import { useLingui } from '@lingui/react/macro'
import type { BudgetPeriod, BudgetScope } from '../api/types'

/** `per day`, `per week`, `per month`. */
export function usePerPeriod(): (period: BudgetPeriod) => string {
  const { t } = useLingui()
  return (period) => ({ day: t`per day`, week: t`per week`, month: t`per month` })[period]
}

/** What the person who is signed in calls a budget that limits them. */
export function useOwnBudgetName(): (scope: BudgetScope) => string {
  const { t } = useLingui()
  return (scope) =>
    ({ company: t`Company's budget`, team: t`Your team's budget`, user: t`Your budget`, key: t`API key's budget` })[
      scope
    ]
}
