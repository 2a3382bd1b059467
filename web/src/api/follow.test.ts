import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { followRun, type LiveText } from './run-events'
import type { Message } from './types'

/** A stand-in for the browser's EventSource, which happy-dom does not have: a test plays the server through it. */
class Source {
  static CLOSED = 2
  static opened: Source[] = []
  readyState = 0
  onopen?: () => void
  onerror?: () => void
  private listeners = new Map<string, (e: { data: string }) => void>()
  constructor(readonly url: string) {
    Source.opened.push(this)
  }
  addEventListener(name: string, listener: (e: { data: string }) => void) {
    this.listeners.set(name, listener)
  }
  close() {
    this.readyState = Source.CLOSED
  }
  send(name: string, data: unknown) {
    if (this.readyState !== Source.CLOSED) this.listeners.get(name)?.({ data: JSON.stringify(data) })
  }
  refuse() {
    this.readyState = Source.CLOSED
    this.onerror?.()
  }
}

const newest = () => Source.opened.at(-1) as Source

describe('followRun', () => {
  beforeEach(() => {
    Source.opened = []
    vi.stubGlobal('EventSource', Source)
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
    vi.unstubAllGlobals()
  })

  function start(again = true) {
    const seen: { text: string; done?: Message; lines: boolean[]; refused: number } = {
      text: '',
      lines: [],
      refused: 0,
    }
    const from: LiveText = { text: 'a', reasoning: '', seq: 1 }
    const stop = followRun('run', from, {
      onText: (state) => {
        seen.text = state.text
      },
      onDone: (message) => {
        seen.done = message
      },
      onLine: (up) => seen.lines.push(up),
      onRefused: async () => {
        seen.refused++
        return again
      },
    })
    return { seen, stop }
  }

  it('asks for what comes after the text it has, and closes when done', () => {
    const { seen } = start()
    expect(newest().url).toBe('/api/v1/runs/run/events?after=1&language=')
    newest().send('delta', { seq: 2, text: 'b' })
    newest().send('done', { message: { id: 'm' } })
    expect(seen.text).toBe('ab')
    expect(seen.done?.id).toBe('m')
    expect(newest().readyState).toBe(Source.CLOSED)
  })

  it('opens again after a refusal, from where it was, until the caller says stop', async () => {
    const { seen } = start()
    newest().send('delta', { seq: 2, text: 'b' })
    newest().refuse()
    await vi.advanceTimersByTimeAsync(600)
    expect(Source.opened).toHaveLength(2)
    expect(newest().url).toBe('/api/v1/runs/run/events?after=2&language=')
    newest().send('delta', { seq: 2, text: 'b' })
    newest().send('delta', { seq: 3, text: 'c' })
    expect(seen.text).toBe('abc')
    expect(seen.lines).toEqual([false])
  })

  it('does not go on when the stored message is not running any more', async () => {
    const { seen } = start(false)
    newest().refuse()
    await vi.advanceTimersByTimeAsync(20_000)
    expect(seen.refused).toBe(1)
    expect(Source.opened).toHaveLength(1)
  })

  it('stays closed after stop', async () => {
    const { stop } = start()
    newest().refuse()
    stop()
    await vi.advanceTimersByTimeAsync(20_000)
    expect(Source.opened).toHaveLength(1)
  })
})
