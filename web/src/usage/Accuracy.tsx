import { Trans, useLingui } from '@lingui/react/macro'
import { useQuery } from '@tanstack/react-query'
import { accuracyQuery } from '../api/queries'
import type { IntentState } from '../api/types'
import { DataTable } from '../ui/DataTable'
import { useFormat } from '../ui/format'
import { CardSkeleton, LoadError } from '../ui/Load'
import { useStates } from './names'

/** How certain the books are: every state with its count, its charge or what that could be at most, and what it means. */
export default function Accuracy() {
  const { t } = useLingui()
  const f = useFormat()
  const states = useStates()
  const accuracy = useQuery(accuracyQuery)
  const meaning: Record<IntentState, string> = {
    created: t`Recorded, and not sent yet.`,
    sent: t`On its way to OpenRouter; its most is held.`,
    headers: t`OpenRouter has begun; its most is held.`,
    streaming: t`It is being answered; its most is held.`,
    settled: t`Charged exactly as OpenRouter billed it.`,
    free: t`OpenRouter took nothing for it.`,
    pending: t`The answer ended without its cost. OpenRouter is asked for it for 48 hours; until then its most is held.`,
    unknown: t`The connection broke before OpenRouter named it, so its cost cannot be found out. It is not billed.`,
  }
  if (!accuracy.data) {
    return accuracy.error ? (
      <LoadError error={accuracy.error} onRetry={accuracy.refetch} />
    ) : (
      <CardSkeleton heights={[420]} />
    )
  }
  const rows = accuracy.data.states.filter((row) => row.count > 0 || row.state === 'settled' || row.state === 'unknown')
  return (
    <section className="card block tables" style={{ marginTop: 0 }}>
      <div className="block-head">
        <h2 className="space">
          <Trans>Accuracy</Trans>
        </h2>
        <span className="xs t3">
          <Trans>all months</Trans>
        </span>
      </div>
      <DataTable
        columns={[
          { label: t`State` },
          { label: t`What it means`, className: 'desktop-only-cell' },
          { label: t`Requests`, className: 'n' },
          { label: t`Charge`, className: 'n' },
        ]}
      >
        <tbody>
          {rows.map((row) => (
            <tr key={row.state}>
              <td>
                {states[row.state] ?? row.state}
                <div className="xs t3 wrapped mobile-only">{meaning[row.state]}</div>
              </td>
              <td className="t2 wrapped desktop-only-cell">{meaning[row.state]}</td>
              <td className="n">{f.number(row.count)}</td>
              <td className="n">
                {row.state === 'settled' || row.state === 'free' ? f.money(row.charge) : `≤ ${f.money(row.at_most)}`}
              </td>
            </tr>
          ))}
        </tbody>
      </DataTable>
    </section>
  )
}
