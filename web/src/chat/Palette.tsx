import { Trans, useLingui } from '@lingui/react/macro'
import { IconEdit, IconSearch, IconSettings } from '@tabler/icons-react'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { type KeyboardEvent, useEffect, useId, useMemo, useState } from 'react'
import { chatsQuery, meQuery } from '../api/queries'
import { Glyph, type Icon } from '../ui/Button'
import { Dialog } from '../ui/Dialog'
import { useFormat } from '../ui/format'
import { navigate } from '../ui/leave'
import { finder } from '../ui/search'

interface Choice {
  href: string
  title: string
  note: string
  icon?: Icon
}

/** The pages of the settings, by name. */
function usePages(): Choice[] {
  const { t } = useLingui()
  const { data: me } = useQuery(meQuery)
  const admin = me?.role === 'admin'
  return useMemo(() => {
    const page = (name: string, title: string) => ({
      href: `/settings/${name}`,
      title,
      note: t`Settings`,
      icon: IconSettings,
    })
    const own = [
      page('profile', t`Profile`),
      page('appearance', t`Appearance`),
      page('api-key', t`API key`),
      page('data-policy', t`Data policy`),
    ]
    const all = [...own, page('usage', t`Usage`)]
    return admin ? [...all, page('connections', t`Connections`), page('users', t`Users`)] : all
  }, [admin, t])
}

function Search({ onClose }: { onClose: () => void }) {
  const { t } = useLingui()
  const f = useFormat()
  const listId = useId()
  const [search, setSearch] = useState('')
  const [active, setActive] = useState(0)
  const pages = usePages()
  const { data, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(chatsQuery)
  // Searching means all chats, so the rest of the list is fetched page by page while the palette is open.
  useEffect(() => {
    if (search && hasNextPage && !isFetchingNextPage) void fetchNextPage()
  }, [search, hasNextPage, isFetchingNextPage, fetchNextPage])
  const shown = useMemo(() => {
    const named = finder(search)
    const rows = data?.pages.flatMap((page) => page.items) ?? []
    const found: Choice[] = rows
      .filter((row) => named(row.title))
      .slice(0, 50)
      .map((row) => ({ href: `/c/${row.id}`, title: row.title || t`New chat`, note: f.date(row.updated_at) }))
    if (search.trim()) return [...found, ...pages.filter((page) => named(page.title))]
    return [{ href: '/', title: t`New chat`, note: 'Ctrl Shift O', icon: IconEdit }, ...found]
  }, [data, search, t, f, pages])
  const choose = (choice: Choice | undefined) => {
    if (!choice) return
    onClose()
    navigate(choice.href)
  }
  const onKey = (e: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[e.key]
    if (step) {
      e.preventDefault()
      const next = Math.max(0, Math.min(shown.length - 1, active + step))
      setActive(next)
      document.getElementById(`${listId}-${next}`)?.scrollIntoView({ block: 'nearest' })
    } else if (e.key === 'Enter' && !e.nativeEvent.isComposing) {
      e.preventDefault()
      choose(shown[active])
    }
  }
  return (
    <>
      <div className="input soft">
        <Glyph icon={IconSearch} small />
        <input
          data-autofocus
          role="combobox"
          aria-expanded
          aria-controls={listId}
          aria-activedescendant={shown[active] ? `${listId}-${active}` : undefined}
          aria-label={t`Search chats`}
          placeholder={t`Search chats by title, and pages`}
          value={search}
          onChange={(e) => {
            setSearch(e.target.value)
            setActive(0)
          }}
          onKeyDown={onKey}
        />
      </div>
      <div className="palette-list" id={listId} role="listbox" aria-label={t`Chats`} tabIndex={-1}>
        {shown.map((choice, i) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the search field handles the keys of the whole list
          <div
            key={choice.href}
            id={`${listId}-${i}`}
            role="option"
            tabIndex={-1}
            aria-selected={i === active}
            className={i === active ? 'opt active' : 'opt'}
            style={{ height: 40, background: i === active ? undefined : 'none' }}
            onMouseMove={() => setActive(i)}
            onClick={() => choose(choice)}
          >
            {choice.icon && <Glyph icon={choice.icon} small />}
            <span className="ellipsis space">{choice.title}</span>
            <span className="price">{choice.note}</span>
          </div>
        ))}
        {shown.length === 0 && (
          <p className="t3 sm" style={{ padding: '14px 10px' }}>
            <Trans>No chat and no page has these words in its title.</Trans>
          </p>
        )}
      </div>
    </>
  )
}

/** Ctrl K: finds a chat by its title. */
export function Palette({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useLingui()
  return (
    <Dialog title={t`Search chats`} open={open} onClose={onClose} size={520} fromTop>
      {open && <Search onClose={onClose} />}
    </Dialog>
  )
}
