import { Trans, useLingui } from '@lingui/react/macro'
import {
  IconKeyboard,
  IconLayoutSidebar,
  IconListCheck,
  IconLogout,
  IconSelector,
  IconSettings,
} from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { lazy, type ReactNode, Suspense, useCallback, useEffect, useMemo, useState } from 'react'
import { useLocation } from 'wouter'
import { openFeed } from '../api/feed'
import { reportLine } from '../api/line'
import { chatQuery, instanceQuery, meQuery, queryClient } from '../api/queries'
import { leaveSession } from '../api/session'
import type { Chat } from '../api/types'
import { ChatList } from '../chat/ChatList'
import { SettingsNav } from '../settings/SettingsNav'
import { SettingsPage } from '../settings/SettingsPage'
import { Glyph, IconButton } from '../ui/Button'
import { whenIdle } from '../ui/idle'
import { LazyDrawer } from '../ui/LazyDrawer'
import { Logo } from '../ui/Logo'
import { navigate } from '../ui/leave'
import { MenuButton } from '../ui/overlays'
import { initials } from '../ui/people'
import { SidebarContext, type SidebarControl } from '../ui/sidebar'
import { readStored, writeStored } from '../ui/storage'
import { Strips } from './Strips'

const Guide = lazy(() => import('./Guide').then((module) => ({ default: module.Guide })))
const Palette = lazy(() => import('../chat/Palette').then((module) => ({ default: module.Palette })))
const Shortcuts = lazy(() => import('./Shortcuts').then((module) => ({ default: module.Shortcuts })))

/** The guide of an admin is open until it is put away or nothing is left to do. */
type GuideState = 'open' | 'hidden' | 'done'

function useGuide(person: string | undefined): [GuideState, (next: GuideState) => void] {
  const key = `mai.guide.${person}`
  const [state, setState] = useState(() => readStored<GuideState>(key) ?? 'open')
  const set = useCallback(
    (next: GuideState) => {
      setState(next)
      writeStored(key, next)
    },
    [key],
  )
  return [state, set]
}

/** Who is signed in, and what they can do from everywhere. */
function Person(props: { onShortcuts: () => void; onGuide: (() => void) | undefined }) {
  const { data: me } = useQuery(meQuery)
  if (!me) return null
  return (
    <MenuButton
      position="top-start"
      width="target"
      button={
        <button type="button" className="nav person">
          <span className="avatar" aria-hidden="true">
            {initials(me.name)}
          </span>
          <span className="tt ellipsis space">{me.name}</span>
          <Glyph icon={IconSelector} small />
        </button>
      }
    >
      {(Menu) => (
        <>
          <Menu.Label>{me.email}</Menu.Label>
          <Menu.Item leftSection={<Glyph icon={IconSettings} small />} onClick={() => navigate('/settings/profile')}>
            <Trans>Settings</Trans>
          </Menu.Item>
          <Menu.Item
            leftSection={<Glyph icon={IconKeyboard} small />}
            onClick={props.onShortcuts}
            className="desktop-only"
          >
            <Trans>Keyboard shortcuts</Trans>
          </Menu.Item>
          {props.onGuide && (
            <Menu.Item leftSection={<Glyph icon={IconListCheck} small />} onClick={props.onGuide}>
              <Trans>Getting started</Trans>
            </Menu.Item>
          )}
          <Menu.Item leftSection={<Glyph icon={IconLogout} small />} onClick={leaveSession}>
            <Trans>Sign out</Trans>
          </Menu.Item>
        </>
      )}
    </MenuButton>
  )
}

/** Keeps the chat list in step with other tabs, and an open chat with what another tab did to it. */
function useFeed(): void {
  useEffect(() => {
    let close = () => {}
    // The stream holds one of the browser's six connections, which the first page has better use for.
    const cancel = whenIdle(() => {
      close = openFeed(
        (event) => {
          const chat = queryClient.getQueryData<Chat>(chatQuery(event.id).queryKey)
          if (!chat || event.deleted) return
          if (event.title && event.title !== chat.title) {
            queryClient.setQueryData(chatQuery(event.id).queryKey, { ...chat, title: event.title })
          }
          // Another tab started an answer here: read the chat again, and follow it.
          const following = chat.messages.some((m) => m.run?.state === 'running')
          // The charge of an answer that broke off is found later.
          const open = chat.messages.some((m) => m.charge && !['settled', 'free', 'unknown'].includes(m.charge.state))
          if (event.running !== following || open)
            void queryClient.invalidateQueries({ queryKey: chatQuery(event.id).queryKey })
        },
        (up) => reportLine('feed', up),
      )
    })
    return () => {
      cancel()
      close()
    }
  }, [])
}

/** The frame of signed-in pages. */
export function Shell({ children }: { children: ReactNode }) {
  const { t } = useLingui()
  const { data: instance } = useQuery(instanceQuery)
  const inSettings = useLocation()[0].startsWith('/settings')
  const [hidden, setHidden] = useState(() => readStored<boolean>('mai.sidebar-hidden') ?? false)
  const [drawer, setDrawer] = useState(false)
  // Both are fetched when they are first opened.
  const [palette, setPalette] = useState<boolean>()
  const [shortcuts, setShortcuts] = useState<boolean>()
  const { data: me } = useQuery(meQuery)
  const [guide, setGuide] = useGuide(me?.id)
  useFeed()

  useEffect(() => {
    const onKey = (e: KeyboardEvent) => {
      if (!e.ctrlKey && !e.metaKey) return
      const key = e.key.toLowerCase()
      if (key === 'k' && !e.shiftKey) {
        e.preventDefault()
        setPalette(true)
      } else if (key === 'o' && e.shiftKey) {
        e.preventDefault()
        navigate('/')
      } else if (key === '/') {
        e.preventDefault()
        setShortcuts(true)
      }
    }
    window.addEventListener('keydown', onKey)
    return () => window.removeEventListener('keydown', onKey)
  }, [])

  const sidebar = useMemo<SidebarControl>(
    () => ({
      hidden,
      toggle: () => {
        setHidden(!hidden)
        writeStored('mai.sidebar-hidden', !hidden)
      },
      openDrawer: () => setDrawer(true),
      closeDrawer: () => setDrawer(false),
    }),
    [hidden],
  )
  const side = (inDrawer: boolean) => (
    <aside className="side" aria-label={t`Sidebar`}>
      <div className="brand">
        <Logo />
        <span className="ellipsis space">{instance?.name}</span>
        {!inDrawer && !inSettings && (
          <IconButton label={t`Hide sidebar`} icon={IconLayoutSidebar} onClick={sidebar.toggle} />
        )}
      </div>
      {inSettings ? (
        <SettingsNav version={instance?.version ?? ''} />
      ) : (
        <ChatList
          onSearch={() => {
            setDrawer(false)
            setPalette(true)
          }}
        >
          <Person
            onShortcuts={() => setShortcuts(true)}
            onGuide={me?.role === 'admin' && guide === 'hidden' ? () => setGuide('open') : undefined}
          />
        </ChatList>
      )}
    </aside>
  )
  const showSide = inSettings || !hidden
  return (
    <SidebarContext value={sidebar}>
      <a className="skip-link" href="#main">
        <Trans>Skip to content</Trans>
      </a>
      <div className={showSide ? 'app' : 'app bare'}>
        {showSide && side(false)}
        <main className="main" id="main" tabIndex={-1}>
          <Strips />
          {me?.role === 'admin' && guide === 'open' && (
            <Suspense fallback={null}>
              <Guide connected={me.connected} onHide={() => setGuide('hidden')} onDone={() => setGuide('done')} />
            </Suspense>
          )}
          {inSettings ? <SettingsPage>{children}</SettingsPage> : children}
        </main>
      </div>
      <LazyDrawer
        opened={drawer}
        onClose={() => setDrawer(false)}
        withCloseButton={false}
        lockScroll={false}
        removeScrollProps={{ enabled: false }}
        className="nav-drawer"
        transitionProps={{ duration: 240 }}
        overlayProps={{ backgroundOpacity: 1, color: 'transparent' }}
        attributes={{ content: { 'aria-label': t`Menu` } }}
      >
        {side(true)}
      </LazyDrawer>
      <Suspense fallback={null}>
        {palette !== undefined && <Palette open={palette} onClose={() => setPalette(false)} />}
        {shortcuts !== undefined && <Shortcuts open={shortcuts} onClose={() => setShortcuts(false)} />}
      </Suspense>
    </SidebarContext>
  )
}
