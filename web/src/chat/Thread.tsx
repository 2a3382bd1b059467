import { Trans, useLingui } from '@lingui/react/macro'
import { IconArrowDown } from '@tabler/icons-react'
import { useVirtualizer } from '@tanstack/react-virtual'
import { useImperativeHandle, useMemo, useRef } from 'react'
import type { Chat, Message } from '../api/types'
import { Button } from '../ui/Button'
import { AssistantMessage } from './AssistantMessage'
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

/** About how tall a message will be, so that the scroll bar is about right before anything was measured. */
function guess(message: Message): number {
  const lines = message.content.length / 88 + (message.content.match(/\n/g)?.length ?? 0)
  return message.role === 'user' ? 84 + lines * 23 : 110 + lines * 26
}

/** The messages of the shown branch. Only those near the window are in the page, so ten thousand cost as little as ten. */
export function Thread({ chat, path, busy, onVersion, onRegenerate, onContinue, onEdit, handle }: Props) {
  const { t } = useLingui()
  const scroller = useRef<HTMLDivElement>(null)
  const rows = useVirtualizer({
    count: path.length,
    getScrollElement: () => scroller.current,
    estimateSize: (i) => (path[i] ? guess(path[i]) : 100),
    getItemKey: (i) => path[i]?.id ?? i,
    initialRect: { width: 736, height: 700 },
    overscan: 3,
    paddingStart: 10,
    paddingEnd: 12,
  })
  const height = rows.getTotalSize()
  const { away, jump } = useScroll(scroller, height, chat.id)
  useImperativeHandle(handle, () => ({ toEnd: jump }), [jump])
  const siblings = useMemo(() => new Map(path.map((m) => [m.id, versions(chat.messages, m)])), [chat.messages, path])
  return (
    <div className="thread-frame">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
      <section className="thread" ref={scroller} tabIndex={0} aria-label={t`Messages`}>
        <div className="thread-size" style={{ height }}>
          {rows.getVirtualItems().map((row) => {
            const message = path[row.index]
            if (!message) return null
            const shared = { message, versions: siblings.get(message.id) ?? [message], busy, onVersion }
            return (
              <div
                key={row.key}
                data-index={row.index}
                ref={rows.measureElement}
                className="thread-item"
                style={{ transform: `translateY(${row.start}px)` }}
              >
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
      {away && (
        <Button className="jump" icon={IconArrowDown} onClick={jump}>
          <Trans>Jump to latest</Trans>
        </Button>
      )}
    </div>
  )
}
