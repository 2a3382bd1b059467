import { Trans, useLingui } from '@lingui/react/macro'
import { IconDots, IconPlus } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { del, put } from '../api/client'
import { budgetQuery, budgetsQuery, meQuery, ownBudgetsQuery, queryClient } from '../api/queries'
import type { BudgetFields, BudgetItem, OwnBudget } from '../api/types'
import { BudgetBar } from '../ui/BudgetBar'
import { Button, IconButton } from '../ui/Button'
import { useOwnBudgetName, usePerPeriod } from '../ui/budgets'
import { useErrorText } from '../ui/errors'
import { useFormat } from '../ui/format'
import { CardSkeleton, LoadError } from '../ui/Load'
import { MenuButton } from '../ui/overlays'
import { everyone } from '../ui/teams'
import { usePageTitle } from '../ui/title'
import { toast } from '../ui/toasts'
import './budgets.css'
import { BudgetDialog } from './BudgetDialog'
import { NoticesCard } from './NoticesCard'

/** Budgets: for admins all of them, for others those that limit them. */
export function BudgetsPage() {
  const { t } = useLingui()
  usePageTitle(t`Budgets`)
  const { data: me } = useQuery(meQuery)
  if (!me) return null
  return <div className="wrap">{me.role === 'admin' ? <AllBudgets /> : <OwnBudgets />}</div>
}

const fields = ({ scope, subject, period, limit, hard, alerts }: BudgetFields): BudgetFields => ({
  scope,
  subject,
  period,
  limit,
  hard,
  alerts,
})

/** Sets a budget and shows all as they are then. */
export async function saveBudget(budget: BudgetFields): Promise<void> {
  const { items } = await put<{ items: BudgetItem[] }>('/budgets', fields(budget))
  queryClient.setQueryData(budgetsQuery.queryKey, items)
  void queryClient.invalidateQueries({ queryKey: ownBudgetsQuery.queryKey })
  void queryClient.invalidateQueries({ queryKey: budgetQuery.queryKey })
}

export async function deleteBudget({ scope, subject, period }: BudgetFields): Promise<void> {
  await del(`/budgets?${new URLSearchParams({ scope, subject, period })}`)
  await queryClient.invalidateQueries({ queryKey: budgetsQuery.queryKey })
  void queryClient.invalidateQueries({ queryKey: budgetQuery.queryKey })
}

/** Whom a budget is for. */
export function useSubject(): (b: BudgetItem) => string {
  const { t } = useLingui()
  return (b) => {
    if (b.scope === 'company') return t`The whole company`
    if (b.scope === 'team') return b.subject === everyone ? t`Team Everyone` : t`Team ${b.name}`
    if (b.scope === 'key') return t`${b.name}, API key of ${b.owner}`
    return b.name || t`A user who is gone`
  }
}

function AllBudgets() {
  const { t } = useLingui()
  const { data: budgets, error, refetch } = useQuery(budgetsQuery)
  const [editing, setEditing] = useState<BudgetItem | 'new' | null>(null)
  return (
    <>
      <div className="head">
        <div className="space">
          <h1>
            <Trans>Budgets</Trans>
          </h1>
          <p>
            <Trans>A request leaves only when it fits into all of them. Days, weeks and months are UTC.</Trans>
          </p>
        </div>
        <Button look="primary" icon={IconPlus} onClick={() => setEditing('new')}>
          <Trans>New budget</Trans>
        </Button>
      </div>
      {error && !budgets && <LoadError error={error} onRetry={() => refetch()} />}
      {!budgets && !error && <CardSkeleton heights={[90, 90]} />}
      {budgets?.length === 0 && (
        <p className="card panel t2">
          <Trans>There is no budget yet. Only the limit of the OpenRouter key stops requests.</Trans>
        </p>
      )}
      {budgets && budgets.length > 0 && (
        <ul className="budget-list" aria-label={t`Budgets`}>
          {budgets.map((b) => (
            <Row key={`${b.scope} ${b.subject} ${b.period}`} budget={b} onEdit={() => setEditing(b)} />
          ))}
        </ul>
      )}
      {budgets && <NoticesCard />}
      {editing && (
        <BudgetDialog
          budget={editing === 'new' ? null : editing}
          all={budgets ?? []}
          onClose={() => setEditing(null)}
        />
      )}
    </>
  )
}

function Row({ budget, onEdit }: { budget: BudgetItem; onEdit: () => void }) {
  const { t } = useLingui()
  const f = useFormat()
  const subject = useSubject()
  const per = usePerPeriod()
  const errorText = useErrorText()
  const name = subject(budget)
  const remove = () =>
    deleteBudget(budget)
      .then(() =>
        toast(t`The budget is deleted.`, {
          label: t`Undo`,
          run: () => void saveBudget(budget).catch((error) => toast(errorText(error))),
        }),
      )
      .catch((error) => toast(errorText(error)))
  return (
    <li className="card block">
      <div className="block-head">
        <h2 className="ellipsis">{name}</h2>
        <span className={`badge ${budget.hard ? 'accent' : ''}`}>
          {budget.hard ? <Trans>Refuses</Trans> : <Trans>Warns only</Trans>}
        </span>
        <span className="space" />
        <span className="sm tn t2 budget-of">
          <Trans>
            <b>{f.shortMoney(budget.spent)}</b> of {f.shortMoney(budget.limit)}
          </Trans>{' '}
          {per(budget.period)}
        </span>
        <MenuButton button={<IconButton label={t`More for ${name}`} icon={IconDots} small />}>
          {(Menu) => (
            <>
              <Menu.Item onClick={onEdit}>
                <Trans>Change</Trans>
              </Menu.Item>
              <Menu.Item data-danger onClick={() => void remove()}>
                <Trans>Delete</Trans>
              </Menu.Item>
            </>
          )}
        </MenuButton>
      </div>
      <BudgetBar budget={budget} />
    </li>
  )
}

function OwnBudgets() {
  const { data: budgets, error, refetch } = useQuery(ownBudgetsQuery)
  return (
    <>
      <div className="head">
        <div className="space">
          <h1>
            <Trans>Budgets</Trans>
          </h1>
          <p>
            <Trans>What limits you. Days, weeks and months are UTC.</Trans>
          </p>
        </div>
      </div>
      {error && !budgets && <LoadError error={error} onRetry={() => refetch()} />}
      {!budgets && !error && <CardSkeleton heights={[90]} />}
      {budgets?.length === 0 && (
        <p className="card panel t2">
          <Trans>There is no budget for you.</Trans>
        </p>
      )}
      {budgets && budgets.length > 0 && (
        <ul className="budget-list">
          {budgets.map((b) => (
            <OwnRow key={`${b.scope} ${b.period}`} budget={b} />
          ))}
        </ul>
      )}
    </>
  )
}

function OwnRow({ budget }: { budget: OwnBudget }) {
  const f = useFormat()
  const per = usePerPeriod()
  const ownName = useOwnBudgetName()
  const { limit, spent, held, remaining } = budget
  return (
    <li className="card block">
      <div className="block-head">
        <h2>{ownName(budget.scope)}</h2>
        <span className="sm t2">{per(budget.period)}</span>
        <span className="space" />
        {limit !== null && (
          <span className="sm tn t2 budget-of">
            <Trans>
              <b>{f.shortMoney(spent)}</b> of {f.shortMoney(limit)}
            </Trans>
          </span>
        )}
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
    </li>
  )
}
