import { Trans, useLingui } from '@lingui/react/macro'
import { IconDots, IconEdit, IconPencil, IconSearch, IconTrash } from '@tabler/icons-react'
import { useInfiniteQuery } from '@tanstack/react-query'
import { type ReactNode, useEffect, useRef, useState } from 'react'
import { Link, useLocation } from 'wouter'
import { navigate } from '../ui/leave'
import './chat.css'
import './lists.css'
import { chatsQuery } from '../api/queries'
import type { ChatRow } from '../api/types'
import { Glyph, IconButton } from '../ui/Button'
import { useErrorText } from '../ui/errors'
import { daysAgo } from '../ui/format'
import { LoadError } from '../ui/Load'
import { MenuButton } from '../ui/overlays'
import { useSidebar } from '../ui/sidebar'
import { toast } from '../ui/toasts'
import { deleteChat, renameChat, restoreChat } from './actions'

function useGroups(rows: ChatRow[]): { name: string; rows: ChatRow[] }[] {
  const { t, i18n } = useLingui()
  const now = new Date()
  const groups: { name: string; rows: ChatRow[] }[] = []
  const month = new Intl.DateTimeFormat(i18n.locale, { month: 'long', year: 'numeric' })
  for (const row of rows) {
    const time = new Date(row.updated_at)
    const ago = daysAgo(time, now)
    const name =
      ago <= 0
        ? t`Today`
        : ago === 1
          ? t`Yesterday`
          : ago <= 7
            ? t`Last 7 days`
            : ago <= 30
              ? t`Last 30 days`
              : month.format(time)
    const last = groups.at(-1)
    if (last?.name === name) last.rows.push(row)
    else groups.push({ name, rows: [row] })
  }
  return groups
}

function Rename({ row, onClose }: { row: ChatRow; onClose: () => void }) {
  const { t } = useLingui()
  const errorText = useErrorText()
  const [title, setTitle] = useState(row.title)
  const cancelled = useRef(false)
  const input = useRef<HTMLInputElement>(null)
  useEffect(() => input.current?.select(), [])
  const save = () => {
    onClose()
    const next = title.trim()
    if (cancelled.current || !next || next === row.title) return
    renameChat(row.id, next).catch((error) => toast(errorText(error)))
  }
  return (
    <div className="input rename">
      <input
        ref={input}
        aria-label={t`Chat title`}
        value={title}
        maxLength={200}
        onChange={(e) => setTitle(e.target.value)}
        onBlur={save}
        onKeyDown={(e) => {
          if (e.nativeEvent.isComposing) return
          if (e.key === 'Enter') e.currentTarget.blur()
          if (e.key === 'Escape') {
            cancelled.current = true
            onClose()
          }
        }}
      />
    </div>
  )
}

function Row({ row, current }: { row: ChatRow; current: boolean }) {
  const { t } = useLingui()
  const errorText = useErrorText()
  const { closeDrawer } = useSidebar()
  const [renaming, setRenaming] = useState(false)
  const title = row.title || t`New chat`
  const remove = async () => {
    try {
      if (current) navigate('/')
      await deleteChat(row)
      toast(t`Chat deleted.`, {
        label: t`Undo`,
        run: () =>
          restoreChat(row.id).then(
            () => void (current && navigate(`/c/${row.id}`)),
            (error) => toast(errorText(error)),
          ),
      })
    } catch (error) {
      toast(errorText(error))
    }
  }
  if (renaming) return <Rename row={row} onClose={() => setRenaming(false)} />
  return (
    <div className="chat-row">
      <Link
        href={`/c/${row.id}`}
        className="nav"
        aria-current={current ? 'page' : undefined}
        title={title}
        onClick={closeDrawer}
      >
        <span className="ellipsis space">{title}</span>
        {row.running && (
          <span className="dot accent">
            <span className="hidden-visually">
              <Trans>Answering</Trans>
            </span>
          </span>
        )}
      </Link>
      <MenuButton button={<IconButton className="more" label={t`More for ${title}`} icon={IconDots} small />}>
        {(Menu) => (
          <>
            <Menu.Item
              leftSection={<Glyph icon={IconPencil} small />}
              onClick={() => setTimeout(() => setRenaming(true), 20)}
            >
              <Trans>Rename</Trans>
            </Menu.Item>
            <Menu.Item data-danger leftSection={<Glyph icon={IconTrash} small />} onClick={remove}>
              <Trans>Delete</Trans>
            </Menu.Item>
          </>
        )}
      </MenuButton>
    </div>
  )
}

function Loading() {
  return (
    <div aria-hidden="true" style={{ padding: '18px 8px', display: 'grid', gap: 18 }}>
      {[70, 52, 84, 60].map((width) => (
        <span key={width} className="skeleton" style={{ height: 12, width: `${width}%` }} />
      ))}
    </div>
  )
}

/** The sidebar of chats: new, search, and the list by date. */
export function ChatList({ onSearch, children }: { onSearch: () => void; children?: ReactNode }) {
  const { t } = useLingui()
  const { closeDrawer } = useSidebar()
  const [path] = useLocation()
  const { data, hasNextPage, isFetchingNextPage, fetchNextPage, isPending, error, refetch } =
    useInfiniteQuery(chatsQuery)
  const rows = data?.pages.flatMap((page) => page.items) ?? []
  const groups = useGroups(rows)
  const end = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (!end.current || !hasNextPage) return
    const seen = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting) && !isFetchingNextPage) void fetchNextPage()
    })
    seen.observe(end.current)
    return () => seen.disconnect()
  }, [hasNextPage, isFetchingNextPage, fetchNextPage])
  return (
    <>
      <div style={{ padding: '8px 0 2px' }}>
        <Link href="/" className="nav" aria-current={path === '/' ? 'page' : undefined} onClick={closeDrawer}>
          <Glyph icon={IconEdit} />
          <span>
            <Trans>New chat</Trans>
          </span>
        </Link>
        <button type="button" className="nav" onClick={onSearch}>
          <Glyph icon={IconSearch} />
          <span className="space">
            <Trans>Search</Trans>
          </span>
          <kbd className="desktop-only">Ctrl K</kbd>
        </button>
      </div>
      <nav className="nav-list" aria-label={t`Chats`}>
        {isPending && <Loading />}
        {error && !data && <LoadError error={error} onRetry={() => refetch()} />}
        {groups.map((group) => (
          <section key={group.name}>
            <h2 className="cap">{group.name}</h2>
            <ul>
              {group.rows.map((row) => (
                <li key={row.id}>
                  <Row row={row} current={path === `/c/${row.id}`} />
                </li>
              ))}
            </ul>
          </section>
        ))}
        <div ref={end} style={{ height: 1 }} />
      </nav>
      {children}
    </>
  )
}
