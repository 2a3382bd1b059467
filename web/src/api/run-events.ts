// Following a run: the server owns the answer, a tab only replays and follows it by sequence number.
import type { Message } from './types'

export interface LiveText {
  text: string
  reasoning: string
  /** The last sequence number that is in the text. */
  seq: number
}

export type RunEvent =
  | { type: 'delta'; seq: number; text?: string; reasoning?: string }
  | { type: 'reset'; seq: number; content?: string; reasoning?: string }

/** Adds one event. A delta that was already applied changes nothing, so a replay after a reconnect is harmless. */
export function applyRunEvent(state: LiveText, event: RunEvent): LiveText {
  if (event.type === 'reset') return { text: event.content ?? '', reasoning: event.reasoning ?? '', seq: event.seq }
  if (event.seq <= state.seq) return state
  return {
    text: state.text + (event.text ?? ''),
    reasoning: state.reasoning + (event.reasoning ?? ''),
    seq: event.seq,
  }
}

export interface RunHandlers {
  onText: (state: LiveText) => void
  onDone: (message: Message) => void
  /** The line to the server is lost (false) or back (true). */
  onLine: (up: boolean) => void
  /** The server refused to go on with this run; the caller looks at the stored message. Resolves whether to try again. */
  onRefused: () => Promise<boolean>
}

const firstRetry = 500
const longestRetry = 8_000

/** Follows a run until it is done. Returns a function that stops following (which is not stopping the run). */
export function followRun(runId: string, from: LiveText, handlers: RunHandlers): () => void {
  let state = from
  let source: EventSource | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let retry = firstRetry
  let closed = false

  const close = () => {
    closed = true
    source?.close()
    clearTimeout(timer)
  }
  const apply = (event: RunEvent) => {
    const next = applyRunEvent(state, event)
    if (next === state) return
    state = next
    handlers.onText(state)
  }
  const open = () => {
    source = new EventSource(
      `/api/v1/runs/${runId}/events?after=${state.seq}&language=${document.documentElement.lang}`,
    )
    source.onopen = () => {
      retry = firstRetry
      handlers.onLine(true)
    }
    source.addEventListener('delta', (e) => apply({ type: 'delta', ...JSON.parse(e.data) }))
    source.addEventListener('reset', (e) => apply({ type: 'reset', ...JSON.parse(e.data) }))
    source.addEventListener('done', (e) => {
      close()
      handlers.onLine(true)
      handlers.onDone(JSON.parse(e.data).message)
    })
    source.onerror = () => {
      if (closed) return
      handlers.onLine(false)
      // The browser reconnects by itself after a network error, but never after a refusal (a proxy's 502, a 404).
      if (source?.readyState !== EventSource.CLOSED) return
      timer = setTimeout(async () => {
        if ((await handlers.onRefused()) && !closed) open()
      }, retry)
      retry = Math.min(retry * 2, longestRetry)
    }
  }
  open()
  return close
}
