import { Trans, useLingui } from '@lingui/react/macro'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import { ownBudgetsQuery } from '../api/queries'
import type { KeyLimit, UsageLimits } from '../api/types'
import { BudgetBar, BudgetOf } from '../ui/BudgetBar'
import { usePerPeriod } from '../ui/budgets'
import { useFormat } from '../ui/format'
import { OwnBudgetPart } from '../ui/OwnBudgetPart'

function Limit(props: { name: string; more?: ReactNode; note: ReactNode; sooner: boolean; children: ReactNode }) {
  return (
    <li>
      <div className="block-head">
        <h2>{props.name}</h2>
        {props.more}
        {props.sooner && (
          <span className="badge accent">
            <Trans>Ends first</Trans>
          </span>
        )}
        <span className="space" />
        {props.note}
      </div>
      {props.children}
    </li>
  )
}

function KeyPart({ limit }: { limit: KeyLimit | null }) {
  const f = useFormat()
  if (!limit) {
    return (
      <p className="sm t2">
        <Trans>OpenRouter has not told yet what the key may spend.</Trans>
      </p>
    )
  }
  const { limit: most, spent, remaining, resets_at } = limit
  return (
    <>
      {most !== null && spent !== null && remaining !== null ? (
        <BudgetBar budget={{ limit: most, spent, held: '0', remaining, resets_at }} />
      ) : (
        <p className="sm t2">
          <Trans>The key has no limit of its own.</Trans>
        </p>
      )}
      <p className="xs t3 tn">
        <Trans>As OpenRouter said at {f.time(limit.asked_at)}</Trans>
      </p>
    </>
  )
}

/** What ends the company's spending: its budgets, and beside them what OpenRouter lets the key spend. */
export function LimitsCard({ limits }: { limits: UsageLimits }) {
  const { t } = useLingui()
  const per = usePerPeriod()
  const { budgets, key, sooner } = limits
  return (
    <ul className="card block limits" aria-label={t`Limits`}>
      {budgets.map((b) => (
        <Limit
          key={b.period}
          name={t`Company budget`}
          sooner={sooner === b.period}
          more={
            <Link href="/settings/budgets" className="sm">
              {per(b.period)}
            </Link>
          }
          note={<BudgetOf spent={b.spent} limit={b.limit} />}
        >
          <BudgetBar budget={b} />
        </Limit>
      ))}
      {budgets.length === 0 && (
        <Limit
          name={t`Company budget`}
          sooner={false}
          note={
            <Link href="/settings/budgets" className="sm">
              <Trans>Set a limit</Trans>
            </Link>
          }
        >
          <p className="sm t2">
            <Trans>There is no limit. Only the limit of the key stops requests.</Trans>
          </p>
        </Limit>
      )}
      <Limit
        name={t`OpenRouter key`}
        sooner={sooner === 'key'}
        note={key?.limit && key.spent && <BudgetOf spent={key.spent} limit={key.limit} />}
      >
        <KeyPart limit={key} />
      </Limit>
    </ul>
  )
}

/** The budgets that limit the person: all of them, or for an admin those that are not the company's. */
export function OwnLimits({ admin }: { admin: boolean }) {
  const { t } = useLingui()
  const { data: budgets } = useQuery(ownBudgetsQuery)
  const shown = budgets?.filter((b) => !admin || b.scope === 'user' || b.scope === 'key') ?? []
  if (shown.length === 0) return null
  return (
    <ul className="card block limits" aria-label={t`Your budgets`}>
      {shown.map((b) => (
        <li key={`${b.scope} ${b.key} ${b.period}`}>
          <OwnBudgetPart budget={b} />
        </li>
      ))}
    </ul>
  )
}
