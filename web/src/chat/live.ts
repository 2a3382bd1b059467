// The text of answers that are being written, outside React: only the message that shows a run re-renders with it.
import { useSyncExternalStore } from 'react'
import type { LiveText } from '../api/run-events'

/** At most one repaint of the text in this many milliseconds: faster than that nobody reads. */
const flushEvery = 100

interface Entry {
  shown: LiveText
  latest: LiveText
  listeners: Set<() => void>
  timer: ReturnType<typeof setTimeout> | undefined
  flushedAt: number
}

const entries = new Map<string, Entry>()

function entry(runId: string): Entry {
  let found = entries.get(runId)
  if (!found) {
    const empty = { text: '', reasoning: '', seq: 0 }
    found = { shown: empty, latest: empty, listeners: new Set(), timer: undefined, flushedAt: 0 }
    entries.set(runId, found)
  }
  return found
}

function show(e: Entry): void {
  clearTimeout(e.timer)
  e.timer = undefined
  e.flushedAt = performance.now()
  if (e.shown === e.latest) return
  e.shown = e.latest
  for (const listener of e.listeners) listener()
}

/** A timer and not animation frames: each frame that is asked for makes the browser go over the whole page. */
function schedule(e: Entry): void {
  e.timer ??= setTimeout(() => show(e), Math.max(0, e.flushedAt + flushEvery - performance.now()))
}

/** Starts a run's live text with what the stored message already holds. */
export function seedLive(runId: string, state: LiveText): void {
  const e = entry(runId)
  e.latest = state
  show(e)
}

export function setLive(runId: string, state: LiveText): void {
  const e = entry(runId)
  e.latest = state
  schedule(e)
}

export function dropLive(runId: string): void {
  const e = entries.get(runId)
  if (!e) return
  clearTimeout(e.timer)
  entries.delete(runId)
}

/** The live text of a run, or undefined while nobody follows it. */
export function useLive(runId: string | undefined): LiveText | undefined {
  return useSyncExternalStore(
    (listener) => {
      if (!runId) return () => {}
      const e = entry(runId)
      e.listeners.add(listener)
      return () => e.listeners.delete(listener)
    },
    () => {
      const e = runId ? entries.get(runId) : undefined
      return e && (e.shown.seq > 0 || e.shown.text || e.shown.reasoning) ? e.shown : undefined
    },
  )
}
