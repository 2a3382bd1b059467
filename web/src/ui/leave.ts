// Asks before a page with unsaved changes is left.
import { useLayoutEffect, useState } from 'react'
import { navigate as browserNavigate } from 'wouter/use-browser-location'

/** What is to be asked before the page changes, while something on it is not saved. */
let ask: ((go: () => void) => void) | undefined

/** Does what takes away what is not saved, at once or when the person has agreed. */
export function unlessUnsaved(go: () => void): void {
  if (ask) ask(go)
  else go()
}

/** Goes to another page, at once or when the person has agreed. */
export function leave(to: string | URL, go: () => void): void {
  if (new URL(to, location.href).pathname !== location.pathname) unlessUnsaved(go)
  else go()
}

export const navigate: typeof browserNavigate = (to, options) => leave(to, () => browserNavigate(to, options))

/** Holds links back while something is not saved, and lets the browser ask before the tab is closed. */
export function useUnsaved(unsaved: boolean) {
  const [held, setHeld] = useState<(() => void) | null>(null)
  // A layout effect: a page that is taken away, as when the session ends, must not hold back what follows.
  useLayoutEffect(() => {
    if (!unsaved) return
    ask = (go) => setHeld(() => go)
    const onUnload = (e: BeforeUnloadEvent) => e.preventDefault()
    window.addEventListener('beforeunload', onUnload)
    return () => {
      ask = undefined
      window.removeEventListener('beforeunload', onUnload)
    }
  }, [unsaved])
  return {
    asking: held !== null,
    stay: () => setHeld(null),
    go: () => {
      ask = undefined
      setHeld(null)
      held?.()
    },
  }
}
