import type { InfiniteData } from '@tanstack/react-query'
import { expect, it } from 'vitest'
import { mergeChat } from './feed'
import type { ChatRow, Page } from './types'
import { uuid } from './uuid'

const row = (id: string, hour: number): ChatRow => {
  const time = `2026-11-23T${String(hour).padStart(2, '0')}:00:00Z`
  return { id, title: id, created_at: time, updated_at: time, running: false }
}
const list: InfiniteData<Page<ChatRow>> = {
  pages: [
    { items: [row('a', 12), row('b', 11)], next: 'x' },
    { items: [row('c', 10)], next: null },
  ],
  pageParams: ['', 'x'],
}
const ids = (data: typeof list | undefined) => data?.pages.flatMap((p) => p.items).map((r) => r.id)

it('moves, inserts and removes chats, newest first', () => {
  const event = { title: 'c', updated_at: '2026-11-23T13:00:00Z', running: true, deleted: false }
  expect(ids(mergeChat(list, { id: 'c', ...event }))).toEqual(['c', 'a', 'b'])
  expect(ids(mergeChat(list, { id: 'new', ...event }))).toEqual(['new', 'a', 'b', 'c'])
  expect(ids(mergeChat(list, { id: 'b', ...event, deleted: true }))).toEqual(['a', 'c'])
  expect(ids(mergeChat(list, { id: 'old', ...event, updated_at: '2026-11-01T00:00:00Z' }))).toEqual([
    'a',
    'b',
    'c',
    'old',
  ])
  expect(mergeChat(undefined, { id: 'a', ...event })).toBeUndefined()
})

it('makes UUIDs also where crypto.randomUUID does not exist', () => {
  const original = crypto.randomUUID
  Object.defineProperty(crypto, 'randomUUID', { value: undefined, configurable: true })
  const made = new Set(Array.from({ length: 500 }, uuid))
  Object.defineProperty(crypto, 'randomUUID', { value: original, configurable: true })
  expect(made.size).toBe(500)
  for (const id of made) expect(id).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/)
})
