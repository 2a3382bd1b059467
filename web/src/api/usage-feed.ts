// The feed of usage: reads everything of the usage page again as soon as a call is made or charged.
import { queryClient } from './queries'

/** How the page is kept up to date: told by the server, or by asking again every 30 seconds. */
export type UsageLine = 'live' | 'polling'

/** How often the page asks while the stream is lost, in ms. */
const pollEvery = 30_000

/** The shortest time between two readings, in ms: many calls that end together are read together. */
const restTime = 500

/**
 * Follows usage while the page is visible; a hidden tab gives its connection back. Returns how to stop.
 */
export function followUsage(onLine: (line: UsageLine) => void): () => void {
  let source: EventSource | undefined
  let again: ReturnType<typeof setTimeout> | undefined
  let rest: ReturnType<typeof setTimeout> | undefined
  let live = false
  let due = false
  const read = () => {
    due = rest !== undefined
    if (due) return
    void queryClient.invalidateQueries({ queryKey: ['usage'] })
    rest = setTimeout(() => {
      rest = undefined
      if (due) read()
    }, restTime)
  }
  const open = () => {
    clearTimeout(again)
    source = new EventSource('/api/v1/usage/stream')
    source.onopen = () => {
      live = true
      onLine('live')
      read() // what changed before the stream began was told to nobody
    }
    source.addEventListener('usage', read)
    source.onerror = () => {
      live = false
      onLine('polling')
      // A browser comes back by itself, unless the server refused.
      if (source?.readyState === EventSource.CLOSED) again = setTimeout(open, 3_000)
    }
  }
  const close = () => {
    clearTimeout(again)
    source?.close()
    source = undefined
    live = false
  }
  const onVisibility = () => {
    if (document.hidden) close()
    else if (!source) open()
  }
  const poll = setInterval(() => {
    if (!live && !document.hidden) read()
  }, pollEvery)
  document.addEventListener('visibilitychange', onVisibility)
  if (!document.hidden) open()
  return () => {
    document.removeEventListener('visibilitychange', onVisibility)
    clearInterval(poll)
    clearTimeout(rest)
    close()
  }
}
