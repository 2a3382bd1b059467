// Whether the server can be reached, as the open event streams see it.
import { useSyncExternalStore } from 'react'

const down = new Set<string>()
const listeners = new Set<() => void>()
let lost = false
let timer: ReturnType<typeof setTimeout> | undefined

function publish(): void {
  const now = down.size > 0 || !navigator.onLine
  if (now === lost) {
    clearTimeout(timer)
    timer = undefined
    return
  }
  // A stream that fails again and again must not put the notice off.
  if (timer !== undefined) return
  // A blink of the line is nobody's business; only a loss that lasts is shown.
  timer = setTimeout(
    () => {
      timer = undefined
      lost = now
      for (const listener of listeners) listener()
    },
    now ? 1_200 : 0,
  )
}

export function reportLine(name: string, up: boolean): void {
  if (up) down.delete(name)
  else down.add(name)
  publish()
}

if (typeof window !== 'undefined') {
  window.addEventListener('offline', publish)
  window.addEventListener('online', publish)
}

const subscribe = (listener: () => void) => {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** True while the connection to the server is lost. */
export function useLineLost(): boolean {
  return useSyncExternalStore(subscribe, () => lost)
}
