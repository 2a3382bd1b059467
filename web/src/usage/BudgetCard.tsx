import { Trans, useLingui } from '@lingui/react/macro'
import { IconPencil } from '@tabler/icons-react'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { put } from '../api/client'
import { budgetQuery, queryClient } from '../api/queries'
import type { Budget } from '../api/types'
import { Button, IconButton } from '../ui/Button'
import { FormDialog } from '../ui/Dialog'
import { useErrorText } from '../ui/errors'
import { Field } from '../ui/Field'
import { useFormat } from '../ui/format'
import { compareMoney, isZero, readMoney, share } from '../ui/money'

function LimitDialog({ budget, onClose }: { budget: Budget; onClose: () => void }) {
  const { t } = useLingui()
  const f = useFormat()
  const errorText = useErrorText()
  const [text, setText] = useState(
    budget.limit ? (f.locale === 'pl' ? budget.limit.replace('.', ',') : budget.limit) : '',
  )
  const [wrong, setWrong] = useState(false)
  const save = useMutation({
    mutationFn: (limit: string | null) => put<Budget>('/budget', { limit }),
    onSuccess: async (next) => {
      queryClient.setQueryData(budgetQuery.queryKey, next)
      await queryClient.invalidateQueries({ queryKey: ['usage'] })
      onClose()
    },
  })
  const submit = () => {
    const limit = text.trim() === '' ? null : readMoney(text, f.locale)
    const bad = text.trim() !== '' && limit === null
    setWrong(bad)
    if (!bad) save.mutate(limit)
  }
  return (
    <FormDialog
      title={t`Set the monthly budget`}
      verb={t`Save`}
      open
      busy={save.isPending}
      error={save.error ? errorText(save.error) : null}
      onSubmit={submit}
      onClose={onClose}
    >
      <Field
        label={t`Limit per month, USD`}
        data-autofocus
        inputMode="decimal"
        autoComplete="off"
        placeholder={t`No limit`}
        value={text}
        onChange={(e) => setText(e.target.value)}
        error={wrong ? t`Enter an amount like 100 or 99.50.` : null}
        help={t`Requests stop before the limit, never after it. Empty means no limit.`}
      />
    </FormDialog>
  )
}

/** The company's budget: how much of it is used, held and left. */
export function BudgetCard({ budget }: { budget: Budget }) {
  const { t } = useLingui()
  const f = useFormat()
  const [editing, setEditing] = useState(false)
  const used = budget.limit ? share(budget.spent, budget.limit) : 0
  const over = budget.limit !== null && compareMoney(budget.spent, budget.limit) >= 0
  const tone = over ? 'bad' : used >= 0.8 ? 'warn' : ''
  return (
    <section className="card block">
      <div className="block-head">
        <h2>
          <Trans>Company budget</Trans>
        </h2>
        <span className="space" />
        {budget.limit !== null && (
          <span className="sm tn t2">
            <Trans>
              <b style={{ color: 'var(--text)', fontWeight: 600 }}>{f.shortMoney(budget.spent)}</b> of{' '}
              {f.shortMoney(budget.limit)}
            </Trans>
          </span>
        )}
        {budget.limit === null ? (
          <Button size="small" onClick={() => setEditing(true)}>
            <Trans>Set a limit</Trans>
          </Button>
        ) : (
          <IconButton label={t`Change the limit`} icon={IconPencil} small onClick={() => setEditing(true)} />
        )}
      </div>
      {budget.limit === null ? (
        <p className="sm t2" style={{ padding: '4px 0 2px' }}>
          <Trans>There is no limit. Only the limit of the key stops requests.</Trans>
        </p>
      ) : (
        <>
          <div className={`bar budget ${tone}`}>
            <i style={{ width: `${used * 100}%` }} />
          </div>
          <div className="row xs t3 tn" style={{ flexWrap: 'wrap' }}>
            <span className="space">
              {over ? <Trans>The budget is used up.</Trans> : <Trans>{f.shortMoney(budget.remaining)} left</Trans>}
              {!isZero(budget.held) && (
                <>
                  , <Trans>{f.shortMoney(budget.held)} held by open requests</Trans>
                </>
              )}
            </span>
            <span className="desktop-only">
              <Trans>Resets {f.utcTime(budget.resets_at)}</Trans>
            </span>
          </div>
        </>
      )}
      {editing && <LimitDialog budget={budget} onClose={() => setEditing(false)} />}
    </section>
  )
}
