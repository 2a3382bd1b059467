import { Trans, useLingui } from '@lingui/react/macro'
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { teamsQuery, usersQuery } from '../api/queries'
import type { BudgetFields, BudgetItem, BudgetPeriod, BudgetScope } from '../api/types'
import { useAmountError } from '../ui/budgets'
import { FormDialog } from '../ui/Dialog'
import { useErrorText } from '../ui/errors'
import { Field, Segmented, SelectField } from '../ui/Field'
import { useFormat } from '../ui/format'
import { readMoney } from '../ui/money'
import { everyone, useTeamOptions } from '../ui/teams'
import { toast } from '../ui/toasts'
import { deleteBudget, saveBudget, useSubject } from './BudgetsPage'

/** Reads "50, 80, 100"; null when it is anything else. */
function readAlerts(text: string): number[] | null {
  const parts = text.split(/[\s,;%]+/).filter(Boolean)
  const numbers = parts.map(Number)
  return numbers.length > 5 || numbers.some((n) => !Number.isInteger(n) || n < 1 || n > 200) ? null : numbers
}

/** Whom a new budget is for. */
function Whom(props: { scope: BudgetScope; subject: string; onChange: (scope: BudgetScope, subject: string) => void }) {
  const { t } = useLingui()
  const teamOptions = useTeamOptions()
  const { data: teams } = useQuery(teamsQuery)
  const { data: users } = useQuery(usersQuery)
  const { scope, subject, onChange } = props
  const first = (of: BudgetScope) => (of === 'team' ? everyone : of === 'user' ? (users?.[0]?.id ?? '') : '')
  return (
    <>
      <Segmented
        label={t`For whom`}
        value={scope}
        options={[
          { value: 'company', label: t`Company` },
          { value: 'team', label: t`A team` },
          { value: 'user', label: t`A user` },
        ]}
        onChange={(next) => onChange(next, first(next))}
      />
      {scope === 'team' && (
        <SelectField
          label={t`Team`}
          value={subject}
          onChange={(id) => onChange(scope, id)}
          options={teamOptions(teams ?? [])}
        />
      )}
      {scope === 'user' && (
        <SelectField
          label={t`User`}
          value={subject}
          onChange={(id) => onChange(scope, id)}
          options={(users ?? []).map((u) => ({ value: u.id, label: u.name }))}
        />
      )}
    </>
  )
}

/** Creates a budget, or changes the limit, the kind and the alerts of one. */
export function BudgetDialog({
  budget,
  all,
  onClose,
}: {
  budget: BudgetItem | null
  all: BudgetItem[]
  onClose: () => void
}) {
  const { t } = useLingui()
  const f = useFormat()
  const errorText = useErrorText()
  const amountError = useAmountError()
  const subjectName = useSubject()
  const [whom, setWhom] = useState<{ scope: BudgetScope; subject: string }>(budget ?? { scope: 'company', subject: '' })
  const [period, setPeriod] = useState<BudgetPeriod>(budget?.period ?? 'month')
  const [limit, setLimit] = useState(budget ? (f.locale === 'pl' ? budget.limit.replace('.', ',') : budget.limit) : '')
  const [hard, setHard] = useState(budget?.hard ?? true)
  const [alerts, setAlerts] = useState((budget?.alerts ?? [80, 100]).join(', '))
  const [tried, setTried] = useState(false)
  const amount = readMoney(limit, f.locale)
  const percents = readAlerts(alerts)
  const taken = !budget && all.find((b) => b.scope === whom.scope && b.subject === whom.subject && b.period === period)
  const save = useMutation({
    mutationFn: (next: BudgetFields) => saveBudget(next),
    onSuccess: (_, next) => {
      const undo = () => (budget ? saveBudget(budget) : deleteBudget(next))
      toast(budget ? t`The budget is changed.` : t`The budget is in force.`, {
        label: t`Undo`,
        run: () => void undo().catch((error) => toast(errorText(error))),
      })
      onClose()
    },
  })
  const submit = () => {
    setTried(true)
    if (amount !== null && percents !== null && !taken)
      save.mutate({ ...whom, period, limit: amount, hard, alerts: percents })
  }
  return (
    <FormDialog
      title={budget ? t`Change the budget` : t`New budget`}
      verb={budget ? t`Save` : t`Create`}
      open
      busy={save.isPending}
      error={
        save.error
          ? errorText(save.error)
          : taken && tried
            ? t`There is one already. Change that, or choose another period.`
            : null
      }
      onSubmit={submit}
      onClose={onClose}
    >
      {budget ? (
        <p className="t2">{subjectName(budget)}</p>
      ) : (
        <Whom {...whom} onChange={(scope, subject) => setWhom({ scope, subject })} />
      )}
      {!budget && (
        <Segmented
          label={t`Period`}
          value={period}
          options={[
            { value: 'day', label: t`Day` },
            { value: 'week', label: t`Week` },
            { value: 'month', label: t`Month` },
          ]}
          onChange={setPeriod}
        />
      )}
      <Field
        label={t`Limit, USD`}
        data-autofocus
        inputMode="decimal"
        autoComplete="off"
        value={limit}
        onChange={(e) => setLimit(e.target.value)}
        error={tried && amount === null ? amountError(limit) : null}
        help={t`0 stops all spending.`}
      />
      <Segmented
        label={t`When it is used up`}
        value={hard ? 'hard' : 'soft'}
        options={[
          { value: 'hard', label: t`Refuse requests` },
          { value: 'soft', label: t`Only warn` },
        ]}
        onChange={(value) => setHard(value === 'hard')}
      />
      <Field
        label={t`Tell admins at, per cent`}
        autoComplete="off"
        value={alerts}
        onChange={(e) => setAlerts(e.target.value)}
        error={
          tried && percents === null ? t`Enter up to five whole numbers from 1 to 200, such as 50, 80, 100.` : null
        }
        help={<Trans>Each once a period. Empty for never.</Trans>}
      />
    </FormDialog>
  )
}
