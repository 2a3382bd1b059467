// Words for alerts of budgets, as several pages say them.
import { useLingui } from '@lingui/react/macro'
import type { BudgetAlert } from '../api/types'
import { useFormat } from './format'
import { everyone } from './teams'

/** Whose budget an alert is of, and what it says. */
export function useAlertWords() {
  const { t } = useLingui()
  const f = useFormat()
  return {
    whose: (alert: BudgetAlert) =>
      alert.scope === 'company' ? t`The whole company` : alert.subject === everyone ? t`Team Everyone` : alert.name,
    what: (alert: BudgetAlert) =>
      alert.percent === 0
        ? t`a request was refused, ${f.shortMoney(alert.spent)} of ${f.shortMoney(alert.limit)} is spent`
        : t`${alert.percent}% of ${f.shortMoney(alert.limit)} is spent`,
  }
}
