// Server-sent events that are followed while the page is visible.
import { meQuery, queryClient } from './queries'

/** How long a hidden page keeps its stream, in ms: over HTTP/1.1 a browser has six connections to a host, and six forgotten tabs would leave none. */
const hiddenFor = 20_000

/** How long until a stream that was refused is asked for again, in ms. A lost one the browser opens again by itself. */
const refusedFor = 3_000

/** Follows a stream: `on` has what is called with the data of each event of that name, `onLine` is called when the stream begins and when it is lost. Returns how to stop. */
export function followStream(
  path: string,
  on: Record<string, (data: string) => void>,
  onLine: (up: boolean) => void,
): () => void {
  let source: EventSource | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  const open = () => {
    source = new EventSource(path)
    source.onopen = () => onLine(true)
    for (const [name, tell] of Object.entries(on)) source.addEventListener(name, (e) => tell(e.data))
    source.onerror = () => {
      onLine(false)
      if (source?.readyState !== EventSource.CLOSED) return
      clearTimeout(timer)
      timer = setTimeout(open, refusedFor)
      // Refused rather than lost: the session may have ended.
      void queryClient.fetchQuery({ ...meQuery, staleTime: 0 }).catch(() => {})
    }
  }
  const close = () => {
    clearTimeout(timer)
    source?.close()
    source = undefined
  }
  const onVisibility = () => {
    clearTimeout(timer)
    if (document.hidden) timer = setTimeout(close, hiddenFor)
    else if (!source || source.readyState === EventSource.CLOSED) open()
  }
  document.addEventListener('visibilitychange', onVisibility)
  open()
  return () => {
    document.removeEventListener('visibilitychange', onVisibility)
    close()
  }
}
