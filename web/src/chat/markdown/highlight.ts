import type { Piece } from './highlight.worker'

let worker: Worker | undefined
let last = 0
const waiting = new Map<number, (lines: Piece[][] | null) => void>()

/** Coloured lines of a piece of code, or null when its language is not known. */
export function highlight(code: string, language: string): Promise<Piece[][] | null> {
  if (!worker) {
    worker = new Worker(new URL('./highlight.worker.ts', import.meta.url), { type: 'module' })
    worker.onmessage = (e) => {
      waiting.get(e.data.id)?.(e.data.lines)
      waiting.delete(e.data.id)
    }
    worker.onerror = () => {
      for (const done of waiting.values()) done(null)
      waiting.clear()
    }
  }
  return new Promise((resolve) => {
    last += 1
    waiting.set(last, resolve)
    worker?.postMessage({ id: last, code, language: language.toLowerCase() })
  })
}
