/**
 * Runs something that nobody waits for: when the page has been there for a second and the browser has nothing better to
 * do, or two seconds after that. Returns what calls it off.
 */
export function whenIdle(run: () => void): () => void {
  let idle: number | undefined
  const timer = setTimeout(() => {
    if (window.requestIdleCallback) idle = window.requestIdleCallback(run, { timeout: 2_000 })
    else run()
  }, 1_000)
  return () => {
    clearTimeout(timer)
    if (idle !== undefined) window.cancelIdleCallback(idle)
  }
}
