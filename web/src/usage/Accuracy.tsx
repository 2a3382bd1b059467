import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { useMutation, useQuery } from '@tanstack/react-query'
import { post } from '../api/client'
import { accuracyQuery, queryClient } from '../api/queries'
import type { Accuracy as Books, IntentState } from '../api/types'
import { Button } from '../ui/Button'
import { DataTable } from '../ui/DataTable'
import { useFormat } from '../ui/format'
import { CardSkeleton, LoadError } from '../ui/Load'
import { Note } from '../ui/Note'
import { type Shown, thisMonth } from './filters'
import { useStates } from './names'

/** Every state with its count, its charge or what that could be at most, and what it means. */
function States({ books }: { books: Books }) {
  const { t } = useLingui()
  const f = useFormat()
  const states = useStates()
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
  const check = books.verification
  const verified: [string, string, number, string][] = [
    [t`Verified`, t`OpenRouter's own record says the same.`, check.confirmed, ''],
    [t`To be verified`, t`OpenRouter's record is asked for soon after each answer.`, check.waiting, ''],
    [
      t`Corrected`,
      t`The record said another amount; a second entry corrects the first.`,
      check.adjusted,
      check.adjusted_by,
    ],
    [
      t`Without a record`,
      t`OpenRouter has no record of it any more; the charge stays as the answer said.`,
      check.not_known,
      '',
    ],
  ]
  const rows = books.states.filter((row) => row.count > 0 || row.state === 'settled' || row.state === 'unknown')
  const line = (name: string, words: string, count: number, charge: string, of?: boolean) => (
    <tr key={name}>
      <td className={of ? 'part-of' : undefined}>
        {name}
        <div className="xs t3 wrapped mobile-only">{words}</div>
      </td>
      <td className="t2 wrapped desktop-only-cell">{words}</td>
      <td className="n">{f.number(count)}</td>
      <td className="n">{charge}</td>
    </tr>
  )
  return (
    <section className="card block tables accuracy" style={{ marginTop: 0 }}>
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
          {rows.map((row) => {
            const exact = row.state === 'settled' || row.state === 'free'
            return [
              line(
                states[row.state],
                meaning[row.state],
                row.count,
                exact ? f.money(row.charge) : `≤ ${f.money(row.at_most)}`,
              ),
              row.state === 'settled' &&
                verified
                  .filter(([, , count]) => count > 0)
                  .map(([name, words, count, by]) => line(name, words, count, by && f.money(by), true)),
            ]
          })}
        </tbody>
      </DataTable>
    </section>
  )
}

/** What the key spent and no entry tells of. */
function Gaps({ books }: { books: Books }) {
  const { t } = useLingui()
  const f = useFormat()
  const seen = useMutation({
    mutationFn: (id: string) => post(`/usage/gaps/${id}/seen`),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ['usage'] }),
  })
  return (
    <section className="card block tables">
      <div className="block-head">
        <h2>
          <Trans>Gaps</Trans>
        </h2>
      </div>
      <DataTable
        columns={[
          { label: t`From` },
          { label: t`To` },
          { label: t`Why` },
          { label: t`Not billed`, className: 'n' },
          { label: '' },
        ]}
      >
        <tbody>
          {books.gaps.map((gap) => (
            <tr key={gap.id}>
              <td className="tn">{f.utcTime(gap.from)}</td>
              <td className="tn">{f.utcTime(gap.to)}</td>
              <td className="wrapped">
                {gap.kind === 'restored' ? (
                  <Trans>Requests that the restored backup did not have.</Trans>
                ) : (
                  <Trans>The key spent this elsewhere: somebody else may have it.</Trans>
                )}
              </td>
              <td className="n">{f.money(gap.charge)}</td>
              <td className="n">
                {gap.kind === 'foreign' && gap.seen_at === null && (
                  <Button size="small" disabled={seen.isPending} onClick={() => seen.mutate(gap.id)}>
                    <Trans>Take note</Trans>
                  </Button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </DataTable>
    </section>
  )
}

/** Our days beside OpenRouter's. */
function Compared({ books }: { books: Books }) {
  const { t } = useLingui()
  const f = useFormat()
  const explained = {
    not_compared: t`not compared`,
    equal: t`equal`,
    around_midnight: t`requests around midnight`,
    unknown: t`unknown requests`,
    restored: t`lost with the restored backup`,
    foreign: t`not made here`,
  }
  return (
    <section className="card block tables">
      <div className="block-head">
        <h2>
          <Trans>Day by day</Trans>
        </h2>
        <span className="xs t3 space">
          <Trans>{f.month(books.month)}, UTC days</Trans>
        </span>
      </div>
      <DataTable
        columns={[
          { label: t`Day` },
          { label: t`Settled`, className: 'n' },
          { label: t`To be verified`, className: 'n desktop-only-cell' },
          { label: t`Pending`, className: 'n desktop-only-cell' },
          { label: t`Unknown`, className: 'n desktop-only-cell' },
          { label: t`Charge`, className: 'n' },
          { label: t`OpenRouter has more by`, className: 'n desktop-only-cell' },
          { label: t`Because`, className: 'desktop-only-cell' },
        ]}
      >
        <tbody>
          {books.days.toReversed().map((day) => (
            <tr key={day.date}>
              <td>{f.date(`${day.date}T12:00:00`)}</td>
              <td className="n">{f.number(day.settled)}</td>
              <td className="n desktop-only-cell">{f.number(day.waiting)}</td>
              <td className="n desktop-only-cell">{f.number(day.pending)}</td>
              <td className="n desktop-only-cell">{f.number(day.unknown)}</td>
              <td className="n strong">{f.money(day.charge)}</td>
              <td className="n desktop-only-cell">{f.money(day.difference)}</td>
              <td className="t2 desktop-only-cell">{explained[day.explanation]}</td>
            </tr>
          ))}
        </tbody>
      </DataTable>
    </section>
  )
}

/** How certain the books are, and how they compare with OpenRouter's own. */
export default function Accuracy({ shown }: { shown: Shown }) {
  const f = useFormat()
  const accuracy = useQuery(accuracyQuery(shown.filters.month ?? thisMonth()))
  const books = accuracy.data
  if (!books) {
    return accuracy.error ? (
      <LoadError error={accuracy.error} onRetry={accuracy.refetch} />
    ) : (
      <CardSkeleton heights={[420]} />
    )
  }
  const unknown = books.states.find((row) => row.state === 'unknown')
  return (
    <div className={accuracy.isPlaceholderData ? 'stale' : undefined}>
      {books.alarm && (
        <Note tone="bad">
          <b>
            <Trans>The key was used elsewhere.</Trans>
          </b>{' '}
          <Trans>
            It spent what this workspace did not ask for. Have your provider replace it, then take note below.
          </Trans>
        </Note>
      )}
      <States books={books} />
      <p className="xs t3 below">
        {unknown && unknown.count > 0 ? (
          <>
            <Plural
              value={unknown.count}
              one="The charge of # request is unknown"
              other="The charge of # requests is unknown"
            />
            , <Trans>at most {f.money(unknown.at_most)}, not billed.</Trans>
          </>
        ) : (
          <Trans>No request with an unknown charge.</Trans>
        )}{' '}
        {books.key.sampled_at === null ? (
          <Trans>The key's own total has not been compared yet.</Trans>
        ) : (
          <Trans>
            The key's own total was compared on {f.utcTime(books.key.sampled_at)}: it differs by{' '}
            {f.shortMoney(books.key.difference)}.
          </Trans>
        )}
      </p>
      {books.gaps.length > 0 && <Gaps books={books} />}
      <Compared books={books} />
    </div>
  )
}
