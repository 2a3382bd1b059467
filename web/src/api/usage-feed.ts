// The feed of usage: reads everything of the usage page again as soon as a call is made or charged.
import { queryClient } from './queries'
import { followStream } from './stream'

/** How the page is kept up to date: told by the server, or by asking again every 30 seconds. */
export type UsageLine = 'live' | 'polling'

/** How often the page asks while the stream is lost, in ms. */
const pollEvery = 30_000

/** The shortest time between two readings, in ms: many calls that end together are read together. */
const restTime = 500

/** Follows usage. Returns how to stop. */
export function followUsage(onLine: (line: UsageLine) => void): () => void {
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
  const stop = followStream('/api/v1/usage/stream', { usage: read }, (up) => {
    live = up
    onLine(up ? 'live' : 'polling')
    if (up) read() // what changed before the stream began was told to nobody
  })
  const poll = setInterval(() => {
    if (!live && !document.hidden) read()
  }, pollEvery)
  return () => {
    clearInterval(poll)
    clearTimeout(rest)
    stop()
  }
}
