import { Trans, useLingui } from '@lingui/react/macro'
import { IconArrowDown } from '@tabler/icons-react'
import { defaultRangeExtractor, type Range, useVirtualizer } from '@tanstack/react-virtual'
import { useCallback, useEffect, useImperativeHandle, useLayoutEffect, useRef, useState } from 'react'
import type { Chat, Message } from '../api/types'
import { Button } from '../ui/Button'
import { AssistantMessage } from './AssistantMessage'
import { loadEarlier } from './actions'
import { versions } from './tree'
import { UserMessage } from './UserMessage'
import { useScroll } from './useScroll'

interface Props {
  chat: Chat
  path: Message[]
  busy: boolean
  onVersion: (id: string) => void
  onRegenerate: (message: Message) => void
  onContinue: (message: Message) => void
  onEdit: (message: Message, text: string) => Promise<void>
  /** Lets the page move the thread to its end, after sending. */
  handle: React.Ref<{ toEnd: () => void }>
}

/** With fewer messages than this above the window, earlier ones are asked for. */
const nearTop = 30

const guesses = new WeakMap<Message, number>()

/** About how tall a message will be, so that the scroll bar is about right before anything was measured. */
function guess(message: Message): number {
  let height = guesses.get(message)
  if (height === undefined) {
    const lines = message.content.length / 88 + (message.content.match(/\n/g)?.length ?? 0)
    height = message.role === 'user' ? 84 + lines * 23 : 110 + lines * 26
    guesses.set(message, height)
  }
  return height
}

/** Asks for what is above the loaded messages when `near` says that it will soon be seen. */
function useEarlier(chatId: string, path: Message[], near: boolean) {
  const [state, setState] = useState<'idle' | 'loading' | 'failed'>('idle')
  const first = path[0]
  const more = !!first?.parent_id
  const load = useCallback(() => {
    if (!first) return
    setState('loading')
    loadEarlier(chatId, first.id, path.length).then(
      () => setState('idle'),
      () => setState('failed'),
    )
  }, [chatId, first, path.length])
  useEffect(() => {
    if (more && near && state === 'idle') load()
  }, [more, near, state, load])
  return { more, failed: state === 'failed', load }
}

/**
 * The messages of the shown branch. Only those near the window are in the page, so ten thousand cost as little as ten;
 * the price is that the browser's own search finds only these. The row that has the focus stays in the page.
 */
export function Thread({ chat, path, busy, onVersion, onRegenerate, onContinue, onEdit, handle }: Props) {
  const { t } = useLingui()
  const scroller = useRef<HTMLDivElement>(null)
  const { away, jump, hold, settle } = useScroll(scroller)
  const [focused, setFocused] = useState<string>()
  const focusedAt = focused === undefined ? -1 : path.findIndex((m) => m.id === focused)
  const [start] = useState(() => path.reduce((height, message) => height + guess(message), 0))
  const lastHeight = useRef(0)
  const rows = useVirtualizer<HTMLDivElement, HTMLDivElement>({
    count: path.length,
    getScrollElement: () => scroller.current,
    estimateSize: (i) => (path[i] ? guess(path[i]) : 100),
    getItemKey: (i) => path[i]?.id ?? i,
    rangeExtractor: (range: Range) => {
      const list = defaultRangeExtractor(range)
      return focusedAt < 0 || list.includes(focusedAt) ? list : [...list, focusedAt].sort((a, b) => a - b)
    },
    initialRect: { width: 736, height: 700 },
    initialOffset: Math.max(0, start - 700),
    overscan: 3,
    paddingStart: 10,
    paddingEnd: 12,
    // Earlier messages come in above without moving what is read. Whether the end is followed is not for it to say.
    anchorTo: 'end',
    scrollEndThreshold: -1,
    // Without React, so that growing text is measured, placed and scrolled to before it is painted once.
    directDomUpdates: true,
    directDomUpdatesMode: 'position',
    onChange: (instance) => {
      const height = instance.getTotalSize()
      if (height === lastHeight.current) return
      lastHeight.current = height
      settle()
    },
  })
  // biome-ignore lint/correctness/useExhaustiveDependencies: another path is another height
  useLayoutEffect(settle, [path, settle])
  useImperativeHandle(handle, () => ({ toEnd: jump }), [jump])
  const items = rows.getVirtualItems()
  const earlier = useEarlier(chat.id, path, (items[0]?.index ?? 0) < nearTop)
  const shown = useRef({ messages: chat.messages, path })
  shown.current = { messages: chat.messages, path }
  const showVersion = useCallback(
    (id: string) => {
      const { messages, path } = shown.current
      const parent = messages.find((m) => m.id === id)?.parent_id
      hold(path.findIndex((m) => m.id === parent) + 1) // the other version stays where this one is
      onVersion(id)
    },
    [hold, onVersion],
  )
  const onFocus = (e: React.FocusEvent) => {
    const row = e.target.closest<HTMLElement>('.thread-item')
    setFocused(row ? path[Number(row.dataset.index)]?.id : undefined)
  }
  return (
    <div className="thread-frame">
      <section
        className="thread"
        ref={scroller}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
        tabIndex={0}
        aria-label={t`Messages`}
        onFocus={onFocus}
        onBlur={() => setFocused(undefined)}
      >
        <div className="thread-size" ref={rows.containerRef}>
          {items.map((row) => {
            const message = path[row.index]
            if (!message) return null
            const shared = { message, versions: versions(chat.messages, message), busy, onVersion: showVersion }
            return (
              <div key={row.key} data-index={row.index} ref={rows.measureElement} className="thread-item">
                <div className="col">
                  {message.role === 'user' ? (
                    <UserMessage {...shared} onEdit={onEdit} />
                  ) : (
                    <AssistantMessage
                      {...shared}
                      last={row.index === path.length - 1}
                      onRegenerate={onRegenerate}
                      onContinue={onContinue}
                    />
                  )}
                </div>
              </div>
            )
          })}
        </div>
      </section>
      {earlier.failed && (
        <Button className="earlier" onClick={earlier.load}>
          <Trans>Earlier messages did not load. Try again</Trans>
        </Button>
      )}
      {away && (
        <Button className="jump" icon={IconArrowDown} onClick={jump}>
          <Trans>Jump to latest</Trans>
        </Button>
      )}
    </div>
  )
}
