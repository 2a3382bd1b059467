import { Trans } from '@lingui/react/macro'
import { useQuery } from '@tanstack/react-query'
import { Link } from 'wouter'
import { ownBudgetsQuery } from '../api/queries'
import { useOwnBudgetName, usePerPeriod } from '../ui/budgets'
import { useFormat } from '../ui/format'

/** Under the composer, when a budget nears its end: which one, what is left, and that answers get shorter. */
export function BudgetLine() {
  const f = useFormat()
  const name = useOwnBudgetName()
  const per = usePerPeriod()
  const { data: budgets } = useQuery(ownBudgetsQuery)
  const mine = budgets?.filter((b) => b.scope !== 'key')
  const near = mine?.find((b) => b.level === 'used' && b.hard) ?? mine?.find((b) => b.level !== 'fine')
  if (!near) return null
  const what = `${name(near)} ${per(near.period)}`
  return (
    <p className="composer-hint" role="status">
      <Link href="/settings/budgets">
        {near.level === 'used' ? (
          <Trans>{what}: used up</Trans>
        ) : near.remaining !== null ? (
          <Trans>
            {what}: {f.shortMoney(near.remaining)} left
          </Trans>
        ) : (
          <Trans>{what}: nearly used up</Trans>
        )}
      </Link>
      {near.hard && near.level === 'near' && (
        <>
          {' · '}
          <Trans>answers may be kept short</Trans>
        </>
      )}
      {' · '}
      <Trans>Resets {f.utcTime(near.resets_at)}</Trans>
    </p>
  )
}
