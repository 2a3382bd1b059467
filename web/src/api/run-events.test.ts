import { describe, expect, it } from 'vitest'
import { applyRunEvent, type LiveText, type RunEvent } from './run-events'

const empty: LiveText = { text: '', reasoning: '', seq: 0 }
const all = (events: RunEvent[], from = empty) => events.reduce(applyRunEvent, from)

const stream: RunEvent[] = [
  { type: 'delta', seq: 1, reasoning: 'Let me ' },
  { type: 'delta', seq: 2, reasoning: 'think.' },
  { type: 'delta', seq: 3, text: 'Hel' },
  { type: 'delta', seq: 4, text: 'lo' },
  { type: 'delta', seq: 5, text: ', world' },
]

describe('applyRunEvent', () => {
  it('adds text and reasoning in order', () => {
    expect(all(stream)).toEqual({ text: 'Hello, world', reasoning: 'Let me think.', seq: 5 })
  })

  it('gives the same text after a reconnect at every point, replayed from any point before it', () => {
    for (let cut = 0; cut <= stream.length; cut++) {
      for (let from = 0; from <= cut; from++) {
        const before = all(stream.slice(0, cut))
        expect(all(stream.slice(from), before)).toEqual(all(stream))
      }
    }
  })

  it('keeps the very same state for a delta it already has, so nothing re-renders', () => {
    const state = all(stream)
    expect(applyRunEvent(state, { type: 'delta', seq: 3, text: 'again' })).toBe(state)
  })

  it('replaces everything on a reset, also by less than there was', () => {
    const state = all([...stream, { type: 'reset', seq: 4, content: 'Hel', reasoning: 'x' }])
    expect(state).toEqual({ text: 'Hel', reasoning: 'x', seq: 4 })
    expect(applyRunEvent(state, { type: 'delta', seq: 5, text: 'p' }).text).toBe('Help')
  })

  it('continues the text a stored message already holds', () => {
    const from = { text: 'Written before. ', reasoning: '', seq: 40 }
    expect(applyRunEvent(from, { type: 'delta', seq: 41, text: 'And after.' }).text).toBe('Written before. And after.')
  })

  it('takes several deltas joined into one', () => {
    expect(applyRunEvent(all(stream.slice(0, 2)), { type: 'delta', seq: 5, text: 'Hello, world' })).toEqual(all(stream))
  })
})
