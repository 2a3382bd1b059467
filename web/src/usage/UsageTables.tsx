import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { IconDownload } from '@tabler/icons-react'
import type { Accuracy, IntentState, MonthUsage, RecentRequest, UsageSummary } from '../api/types'
import { Glyph } from '../ui/Button'
import { DataTable } from '../ui/DataTable'
import { daysAgo, useFormat } from '../ui/format'
import { compareMoney, share } from '../ui/money'
import { useTeamName } from '../ui/teams'

const largest = (rows: { charge: string }[]) =>
  rows.reduce((most, row) => (compareMoney(row.charge, most) > 0 ? row.charge : most), '0')

/** The name of a model as a column shows it: without its maker. */
const shortModel = (id: string) => id.split('/').pop() ?? id

function Shares(props: {
  title: string
  head: string
  rows: { key: string; name: string; full: string; requests: number; tokens: number; charge: string }[]
  count: React.ReactNode
  total: MonthUsage['total']
}) {
  const { t } = useLingui()
  const f = useFormat()
  const most = largest(props.rows)
  return (
    <section className="card block tables">
      <div className="block-head">
        <h2>{props.title}</h2>
      </div>
      <DataTable
        columns={[
          { label: props.head },
          { label: t`Requests`, className: 'n desktop-only-cell' },
          { label: t`Tokens`, className: 'n desktop-only-cell' },
          { label: t`Charge`, className: 'n' },
          { label: t`Share`, className: 'share-cell' },
        ]}
      >
        <tbody>
          {props.rows.map((row) => (
            <tr key={row.key}>
              <td className="ellipsis model-name" title={row.full}>
                {row.name}
              </td>
              <td className="n desktop-only-cell">{f.number(row.requests)}</td>
              <td className="n desktop-only-cell">{f.tokens(row.tokens)}</td>
              <td className="n strong">{f.money(row.charge)}</td>
              <td className="share-cell">
                <div className="bar">
                  <i style={{ width: `${share(row.charge, most) * 100}%` }} />
                </div>
              </td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <td>{props.count}</td>
            <td className="n desktop-only-cell">{f.number(props.total.requests)}</td>
            <td className="n desktop-only-cell">
              {f.tokens(props.total.prompt_tokens + props.total.completion_tokens)}
            </td>
            <td className="n">{f.money(props.total.charge)}</td>
            <td className="share-cell" />
          </tr>
        </tfoot>
      </DataTable>
    </section>
  )
}

export function ByUser({ usage }: { usage: UsageSummary }) {
  const { t } = useLingui()
  const rows = usage.by_user.map((row) => ({ ...row, key: row.user_id, full: row.name }))
  return (
    <Shares
      title={t`By user`}
      head={t`User`}
      rows={rows}
      count={<Plural value={rows.length} one="# user" other="# users" />}
      total={usage.total}
    />
  )
}

export function ByTeam({ usage }: { usage: UsageSummary }) {
  const { t } = useLingui()
  const teamName = useTeamName()
  const rows = usage.by_team.map((row) => {
    const name = teamName({ id: row.team_id, name: row.name })
    return { ...row, key: row.team_id, name, full: name }
  })
  return (
    <Shares
      title={t`By team`}
      head={t`Team`}
      rows={rows}
      count={<Plural value={rows.length} one="# team" other="# teams" />}
      total={usage.total}
    />
  )
}

export function ByModel({ usage }: { usage: MonthUsage }) {
  const { t } = useLingui()
  const rows = usage.by_model.map((row) => ({ ...row, key: row.model, name: shortModel(row.model), full: row.model }))
  return (
    <Shares
      title={t`By model`}
      head={t`Model`}
      rows={rows}
      count={<Plural value={rows.length} one="# model" other="# models" />}
      total={usage.total}
    />
  )
}

/** The words for the states of a paid request. */
function useStates(): Record<IntentState, string> {
  const { t } = useLingui()
  return {
    created: t`Refused before sending`,
    sent: t`Sent`,
    headers: t`Accepted`,
    streaming: t`Running`,
    settled: t`Settled`,
    free: t`Free`,
    pending: t`Pending`,
    unknown: t`Unknown`,
  }
}

/** The last requests: of everybody, to be saved whole, or those of the person who looks. */
export function Recent({ items, own }: { items: RecentRequest[]; own?: boolean }) {
  const { t } = useLingui()
  const f = useFormat()
  const states = useStates()
  const kinds = { chat: t`Chat`, title: t`Chat title`, api: t`API key` }
  const now = new Date()
  const when = (iso: string) => (daysAgo(new Date(iso), now) === 0 ? f.timeSeconds(iso) : f.dateTime(iso))
  return (
    <section className="card block tables recent">
      <div className="block-head">
        <h2 className="space">
          <Trans>Last requests</Trans>
        </h2>
        {!own && (
          <a className="btn small" href="/api/v1/usage/ledger?format=csv" download>
            <Glyph icon={IconDownload} small />
            <Trans>All as CSV</Trans>
          </a>
        )}
      </div>
      <DataTable
        columns={[
          { label: t`Time` },
          ...(own ? [{ label: t`Model` }] : [{ label: t`User` }, { label: t`Model`, className: 'desktop-only-cell' }]),
          { label: t`Source`, className: 'desktop-only-cell' },
          { label: t`Tokens in / out`, className: 'n desktop-only-cell' },
          { label: t`Charge`, className: 'n' },
        ]}
      >
        <tbody>
          {items.map((item) => (
            <tr key={item.intent_id}>
              <td className="tn t2" title={f.dateTime(item.occurred_at)}>
                {when(item.occurred_at)}
              </td>
              {!own && (
                <td>
                  <div className="ellipsis model-name">{item.user_name}</div>
                  <div className="xs t3 ellipsis model-name mobile-only">{shortModel(item.model)}</div>
                </td>
              )}
              <td className={own ? undefined : 'desktop-only-cell'}>
                <div className="ellipsis model-name" title={item.model}>
                  {shortModel(item.model)}
                </div>
              </td>
              <td className="t2 desktop-only-cell">{kinds[item.kind] ?? item.kind}</td>
              <td className="n desktop-only-cell">
                {item.prompt_tokens + item.completion_tokens === 0
                  ? '—'
                  : `${f.tokens(item.prompt_tokens)} / ${f.tokens(item.completion_tokens)}`}
              </td>
              <td className="n strong">
                {item.charge === null || item.state === 'pending' || item.state === 'unknown' ? (
                  <span className={item.state === 'pending' || item.state === 'unknown' ? 'badge warn' : 'badge'}>
                    {states[item.state] ?? item.state}
                  </span>
                ) : (
                  f.money(item.charge)
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </DataTable>
      {items.length === 0 && (
        <p className="t2" style={{ padding: '12px 18px 16px' }}>
          <Trans>Nothing was asked yet.</Trans>
        </p>
      )}
    </section>
  )
}

/** How much of the books is settled: every state with its count and its charge, or what that could be at most. */
export function AccuracyCard({ accuracy }: { accuracy: Accuracy }) {
  const { t } = useLingui()
  const f = useFormat()
  const states = useStates()
  const rows = accuracy.states.filter((row) => row.count > 0)
  const unknown = rows.find((row) => row.state === 'unknown')
  return (
    <section className="card block tables">
      <div className="block-head">
        <h2 className="space">
          <Trans>Accuracy</Trans>
        </h2>
        <span className="xs t3">
          <Trans>all months</Trans>
        </span>
      </div>
      <p className="sm t2 block-note">
        {unknown ? (
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
        )}
      </p>
      <DataTable
        columns={[{ label: t`State` }, { label: t`Requests`, className: 'n' }, { label: t`Charge`, className: 'n' }]}
      >
        <tbody>
          {rows.map((row) => (
            <tr key={row.state}>
              <td>{states[row.state] ?? row.state}</td>
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
