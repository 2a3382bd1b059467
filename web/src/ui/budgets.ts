// Words for budgets, as several pages say them.
import { useLingui } from '@lingui/react/macro'
import type { BudgetPeriod, OwnBudget } from '../api/types'
import { useFormat } from './format'
import { isTooLarge, tooLarge } from './money'

/** `per day`, `per week`, `per month`. */
export function usePerPeriod(): (period: BudgetPeriod) => string {
  const { t } = useLingui()
  return (period) => ({ day: t`per day`, week: t`per week`, month: t`per month` })[period]
}

/** What the person who is signed in calls a budget that limits them. */
export function useOwnBudgetName(): (budget: OwnBudget) => string {
  const { t } = useLingui()
  return ({ scope, name }) =>
    ({ company: t`Company's budget`, team: t`Your team's budget`, user: t`Your budget`, key: t`API key ${name}` })[
      scope
    ]
}

/** What is wrong with a limit that cannot be read. */
export function useAmountError(): (text: string) => string {
  const { t } = useLingui()
  const f = useFormat()
  return (text) =>
    isTooLarge(text, f.locale)
      ? t`This is too large: it must be less than ${f.axisMoney(tooLarge, 0)}.`
      : t`Enter an amount like 100 or 99.50.`
}
