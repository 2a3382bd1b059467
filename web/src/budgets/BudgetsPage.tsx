import { Trans, useLingui } from '@lingui/react/macro'
import { IconDots, IconPlus } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { del, put } from '../api/client'
import { budgetsQuery, meQuery, ownBudgetsQuery, queryClient } from '../api/queries'
import type { BudgetFields, BudgetItem } from '../api/types'
import { BudgetBar, BudgetOf } from '../ui/BudgetBar'
import { Button, IconButton } from '../ui/Button'
import { usePerPeriod } from '../ui/budgets'
import { useErrorText } from '../ui/errors'
import { CardSkeleton, LoadError } from '../ui/Load'
import { OwnBudgetPart } from '../ui/OwnBudgetPart'
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
  void queryClient.invalidateQueries({ queryKey: ['usage'] })
}

export async function deleteBudget({ scope, subject, period }: BudgetFields): Promise<void> {
  await del(`/budgets?${new URLSearchParams({ scope, subject, period })}`)
  await queryClient.invalidateQueries({ queryKey: budgetsQuery.queryKey })
  void queryClient.invalidateQueries({ queryKey: ['usage'] })
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
        <BudgetOf spent={budget.spent} limit={budget.limit} />
        <span className="sm t2">{per(budget.period)}</span>
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
            <li key={`${b.scope} ${b.key} ${b.period}`} className="card block">
              <OwnBudgetPart budget={b} />
            </li>
          ))}
        </ul>
      )}
    </>
  )
}
