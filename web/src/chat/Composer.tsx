import { Trans, useLingui } from '@lingui/react/macro'
import { IconArrowUp } from '@tabler/icons-react'
import { type KeyboardEvent, type ReactNode, useEffect, useRef, useState } from 'react'
import { ApiError } from '../api/client'
import type { Message } from '../api/types'
import { Glyph } from '../ui/Button'
import { useErrorText } from '../ui/errors'
import { useFormat } from '../ui/format'
import { Note } from '../ui/Note'
import { isTouch } from '../ui/phone'
import { stopRun } from './actions'
import { BudgetLine } from './BudgetLine'
import { readDraft, readWaiting, writeDraft, writeWaiting } from './drafts'
import { PolicyLine } from './PolicyLine'

interface Props {
  chatId: string | undefined
  placeholder: string
  /** The answer that is being written, if any. */
  running: Message | undefined
  /** Why nothing can be sent at all, if so. */
  refused?: string
  /** The models, or the chat, are not known yet: what is sent now waits for them. */
  loading?: boolean
  /** The workspace is being updated: what is sent now waits for the end of that. */
  updating?: boolean
  /** On the left of the foot. */
  foot?: ReactNode
  /** Sends; rejects when the message was not accepted. The text stays until it resolves. */
  onSend: (text: string) => Promise<void>
}

/** Where a person writes. What they typed is kept until the server has confirmed it. */
export function Composer({ chatId, placeholder, running, refused, loading, updating, foot, onSend }: Props) {
  const { t } = useLingui()
  const f = useFormat()
  const errorText = useErrorText()
  const [text, setText] = useState(() => readWaiting(chatId) ?? readDraft(chatId).text)
  const [sending, setSending] = useState(false)
  const [waiting, setWaiting] = useState(() => readWaiting(chatId) !== undefined)
  const [stopping, setStopping] = useState<string | null>(null)
  const [error, setError] = useState<string | null>(null)
  const area = useRef<HTMLTextAreaElement>(null)

  useEffect(() => {
    if (!isTouch()) area.current?.focus({ preventScroll: true })
  }, [])
  // Browsers without `field-sizing` grow the field this way.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the text decides the height
  useEffect(() => {
    const el = area.current
    if (!el || CSS.supports('field-sizing', 'content')) return
    el.style.height = 'auto'
    el.style.height = `${el.scrollHeight}px`
  }, [text])

  const change = (next: string) => {
    setText(next)
    setWaiting(false)
    writeWaiting(chatId, undefined)
    writeDraft(chatId, { ...readDraft(chatId), text: next })
  }
  const interrupted = useRef(updating) // as it is when an attempt to send has failed
  interrupted.current = updating
  const empty = text.trim() === ''
  const early = loading || !!running || !!updating
  const blocked = empty || sending || loading || !!running || waiting || !!refused
  const send = async () => {
    if (empty || sending) return
    if (refused) {
      setWaiting(false)
      writeWaiting(chatId, undefined)
      setError(refused)
      return
    }
    setWaiting(early)
    if (updating) writeWaiting(chatId, text)
    if (early) return
    setSending(true)
    setError(null)
    try {
      await onSend(text.trim())
      setText('')
    } catch (cause) {
      if (interrupted.current && cause instanceof ApiError && (cause.unreachable || cause.status === 503)) {
        setWaiting(true)
        writeWaiting(chatId, text)
      } else {
        writeWaiting(chatId, undefined)
        setError(errorText(cause))
      }
    } finally {
      setSending(false)
      area.current?.focus({ preventScroll: true })
    }
  }
  // biome-ignore lint/correctness/useExhaustiveDependencies: what was sent too early goes when it can, once
  useEffect(() => {
    if (waiting && !early) void send()
  }, [waiting, early])
  // What was on its way when an update began waits at the edge of the server: a reload must not forget it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when both are true
  useEffect(() => {
    if (sending && updating) writeWaiting(chatId, text)
  }, [sending, updating])
  const stop = async () => {
    const run = running?.run
    if (!run || stopping === run.id) return
    setStopping(run.id)
    await stopRun(run.id).catch((cause) => {
      setStopping(null)
      setError(errorText(cause))
    })
  }
  const onKey = (e: KeyboardEvent) => {
    // 229: some input methods do not set isComposing on the key that ends a composition.
    if (e.nativeEvent.isComposing || e.keyCode === 229) return
    if (e.key === 'Enter' && !e.shiftKey && !e.altKey && (!isTouch() || e.ctrlKey || e.metaKey)) {
      e.preventDefault()
      void send()
    }
  }
  // Escape stops the answer from anywhere on the page, unless something open takes the key.
  useEffect(() => {
    if (!running) return
    const onEscape = (e: globalThis.KeyboardEvent) => {
      if (e.key === 'Escape' && !e.defaultPrevented && !document.querySelector('[role="dialog"],[role="menu"]'))
        void stop()
    }
    window.addEventListener('keydown', onEscape)
    return () => window.removeEventListener('keydown', onEscape)
  })

  const held = running?.run?.held
  const isStopping = stopping !== null && stopping === running?.run?.id
  return (
    <div className="composer-frame">
      <div className="col">
        {error && (
          <Note tone="bad">
            {error} <Trans>Your text is kept.</Trans>{' '}
            {!empty && (
              <button type="button" className="link-btn" onClick={send}>
                <Trans>Retry</Trans>
              </button>
            )}
          </Note>
        )}
        <form
          className="composer"
          onSubmit={(e) => {
            e.preventDefault()
            void send()
          }}
        >
          <textarea
            ref={area}
            rows={1}
            aria-label={t`Message`}
            placeholder={placeholder}
            value={text}
            readOnly={sending}
            onChange={(e) => change(e.target.value)}
            onKeyDown={onKey}
          />
          <div className="composer-foot">
            {!running && foot}
            <span className="space" />
            {(waiting || (sending && updating)) && (
              <span className="xs t3 ellipsis" role="status">
                {updating ? (
                  <Trans>Sent after the update.</Trans>
                ) : loading ? (
                  <Trans>Sent as soon as the page has loaded.</Trans>
                ) : (
                  <Trans>Sent after this answer.</Trans>
                )}
              </span>
            )}
            {running ? (
              <>
                <span className={waiting ? 'hidden-visually' : 'xs t3 tn nw ellipsis'}>
                  {isStopping ? (
                    <Trans>Stopping…</Trans>
                  ) : held ? (
                    <span title={t`Up to ${f.money(held)} is reserved; usually far less is charged.`}>
                      <Trans>Answering</Trans>
                    </span>
                  ) : (
                    <Trans>Answering</Trans>
                  )}
                </span>
                <button
                  type="button"
                  className="send stop"
                  aria-label={t`Stop`}
                  title={t`Stop (Esc)`}
                  aria-disabled={isStopping}
                  onClick={stop}
                />
              </>
            ) : (
              <button type="submit" className="send" aria-label={t`Send`} aria-disabled={blocked}>
                <Glyph icon={IconArrowUp} />
              </button>
            )}
          </div>
        </form>
        <BudgetLine />
        <PolicyLine />
      </div>
    </div>
  )
}
