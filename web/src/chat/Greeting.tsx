import { Trans, useLingui } from '@lingui/react/macro'
import { IconPlugConnected } from '@tabler/icons-react'
import { useInfiniteQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import { chatsQuery } from '../api/queries'
import { Glyph } from '../ui/Button'
import { daysAgo, useFormat } from '../ui/format'

function useHello(name: string): string {
  const { t } = useLingui()
  const first = name.trim().split(/\s+/)[0] ?? ''
  const hour = new Date().getHours()
  if (!first) return t`Good day`
  if (hour >= 5 && hour < 12) return t`Good morning, ${first}`
  if (hour >= 12 && hour < 18) return t`Good afternoon, ${first}`
  return t`Good evening, ${first}`
}

/** The page of a new chat: a greeting, the composer in the middle, and the way back to the last two chats. */
export function Greeting(props: { name: string; connected: boolean; admin: boolean; children: ReactNode }) {
  const hello = useHello(props.name)
  const f = useFormat()
  const { t } = useLingui()
  const { data } = useInfiniteQuery(chatsQuery)
  const when = (iso: string) => {
    const ago = daysAgo(new Date(iso), new Date())
    if (ago === 0) return t`Today ${f.time(iso)}`
    return ago === 1 ? t`Yesterday` : f.longDate(iso)
  }
  const recent = data?.pages[0]?.items.slice(0, 2) ?? []
  return (
    <div className="greet">
      <div className="col">
        <h1>{hello}</h1>
        {!props.connected && (
          <div className="card panel row" style={{ gap: 16, flexWrap: 'wrap' }}>
            {props.admin ? (
              <>
                <div className="space" style={{ minWidth: 220 }}>
                  <h2>
                    <Trans>Connect OpenRouter</Trans>
                  </h2>
                  <p className="sm t2" style={{ marginTop: 3 }}>
                    <Trans>Paste your key once. Then everybody here can chat, and every charge is counted.</Trans>
                  </p>
                </div>
                <Link href="/settings/connections" className="btn primary">
                  <Glyph icon={IconPlugConnected} />
                  <Trans>Connect OpenRouter</Trans>
                </Link>
              </>
            ) : (
              <p className="t2">
                <Trans>Your admin has not connected a model provider yet. You can chat as soon as that is done.</Trans>
              </p>
            )}
          </div>
        )}
      </div>
      {props.children}
      {props.connected && recent.length === 2 && (
        <div className="col">
          <div className="suggest">
            {recent.map((row) => (
              <Link key={row.id} href={`/c/${row.id}`}>
                <b className="ellipsis">{row.title || <Trans>New chat</Trans>}</b>
                {row.running ? <Trans>Answering…</Trans> : when(row.updated_at)}
              </Link>
            ))}
          </div>
        </div>
      )}
    </div>
  )
}
