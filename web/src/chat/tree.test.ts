import { describe, expect, it } from 'vitest'
import type { Message } from '../api/types'
import { currentPath, leafBelow, versions } from './tree'

let clock = 0
const message = (id: string, parent: string | null, role: Message['role']): Message => ({
  id,
  parent_id: parent,
  role,
  content: id,
  reasoning: '',
  model: '',
  created_at: new Date(Date.UTC(2026, 10, 23, 0, 0, clock++)).toISOString(),
  run: null,
  charge: null,
})

// u1 ─ a1 ─ u2 ─ a2
//    │     └ u2b ─ a2b
//    └ a1b
const tree = [
  message('u1', null, 'user'),
  message('a1', 'u1', 'assistant'),
  message('u2', 'a1', 'user'),
  message('a2', 'u2', 'assistant'),
  message('u2b', 'a1', 'user'),
  message('a2b', 'u2b', 'assistant'),
  message('a1b', 'u1', 'assistant'),
]
const ids = (messages: Message[]) => messages.map((m) => m.id)

describe('the tree of messages', () => {
  it('shows the branch of the current message down to its newest leaf', () => {
    expect(ids(currentPath(tree, 'a2'))).toEqual(['u1', 'a1', 'u2', 'a2'])
    expect(ids(currentPath(tree, 'u2b'))).toEqual(['u1', 'a1', 'u2b', 'a2b'])
    expect(ids(currentPath(tree, 'a1b'))).toEqual(['u1', 'a1b'])
  })

  it('takes the newest branch without a current message', () => {
    expect(ids(currentPath(tree, null))).toEqual(['u1', 'a1b'])
    expect(ids(currentPath(tree, 'gone'))).toEqual(['u1', 'a1b'])
    expect(currentPath([], null)).toEqual([])
  })

  it('knows the versions of a message', () => {
    expect(ids(versions(tree, tree[1] as Message))).toEqual(['a1', 'a1b'])
    expect(ids(versions(tree, tree[4] as Message))).toEqual(['u2', 'u2b'])
    expect(leafBelow(tree, 'a1')).toBe('a2b')
  })

  it('ends on a broken tree', () => {
    const loop = [message('x', 'y', 'user'), message('y', 'x', 'assistant')]
    expect(currentPath(loop, null)).toEqual([])
  })

  it('is quick with ten thousand messages', () => {
    const long: Message[] = []
    for (let i = 0; i < 10_000; i++) long.push(message(`m${i}`, i ? `m${i - 1}` : null, i % 2 ? 'assistant' : 'user'))
    expect(currentPath(long, 'm9999')).toHaveLength(10_000)
    expect(versions(long, long[5000] as Message)).toHaveLength(1)
  })
})
