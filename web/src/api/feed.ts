// The per-person event feed: keeps the chat list of every tab in step, and tells whether the server can be reached.
import type { InfiniteData } from '@tanstack/react-query'
import { chatsQuery, instanceQuery, queryClient } from './queries'
import { followStream } from './stream'
import type { ChatEvent, ChatRow, Page } from './types'

type Chats = InfiniteData<Page<ChatRow>>

/** Replaces, inserts or removes one row, keeping newest first. */
export function mergeChat(data: Chats | undefined, event: ChatEvent): Chats | undefined {
  if (!data) return data
  const old = data.pages.flatMap((p) => p.items).find((row) => row.id === event.id)
  const pages = data.pages.map((page) => ({ ...page, items: page.items.filter((row) => row.id !== event.id) }))
  const first = pages[0]
  if (!first || event.deleted) return { ...data, pages }
  const row: ChatRow = {
    id: event.id,
    title: event.title || old?.title || '',
    created_at: old?.created_at ?? event.updated_at,
    updated_at: event.updated_at,
    running: event.running,
  }
  // Find its place by time over all loaded pages; older than all of them means the end of the last page.
  for (const page of pages) {
    const at = page.items.findIndex((other) => other.updated_at <= row.updated_at)
    if (at >= 0) {
      page.items.splice(at, 0, row)
      return { ...data, pages }
    }
  }
  pages[pages.length - 1]?.items.push(row)
  return { ...data, pages }
}

export function updateChatRow(event: ChatEvent): void {
  queryClient.setQueryData(chatsQuery.queryKey, (data: Chats | undefined) => mergeChat(data, event))
}

/** Notes whether the workspace is being updated: what is sent meanwhile waits. */
function noteUpdating(updating: boolean): void {
  // A reading that is still on its way is older than this.
  void queryClient.cancelQueries({ queryKey: instanceQuery.queryKey })
  queryClient.setQueryData(instanceQuery.queryKey, (instance) => instance && { ...instance, updating })
}

const isUpdating = () => queryClient.getQueryData(instanceQuery.queryKey)?.updating ?? false

/** Waits until the workspace is not being updated. */
export function updateEnded(): Promise<void> {
  return new Promise((resolve) => {
    const stop = queryClient.getQueryCache().subscribe(() => look())
    const look = () => {
      if (isUpdating()) return
      stop()
      resolve()
    }
    look()
  })
}

/** Follows the feed. */
export function openFeed(onChat: (event: ChatEvent) => void, onLine: (up: boolean) => void): () => void {
  const catchUp = async () => {
    // A first reading that is on its way may be older than what is told here; it is not begun again before it has ended.
    await queryClient.ensureInfiniteQueryData(chatsQuery).catch(() => {})
    void queryClient.invalidateQueries({ queryKey: chatsQuery.queryKey })
    void queryClient.invalidateQueries({ queryKey: ['chat'] })
  }
  const chat = (data: string) => {
    const event: ChatEvent = JSON.parse(data)
    const reading = queryClient.isFetching({ queryKey: chatsQuery.queryKey }) > 0
    updateChatRow(event)
    onChat(event)
    if (reading) void catchUp()
  }
  const updating = (data: string) => noteUpdating(JSON.parse(data))
  return followStream('/api/v1/events', { chat, updating }, (up) => {
    // Also at the first time: what changed after the list was read and before this stream began was told to nobody.
    if (up) void catchUp()
    // A stream begins with an update only if there is one.
    if (up && isUpdating()) void queryClient.invalidateQueries({ queryKey: instanceQuery.queryKey })
    onLine(up)
  })
}
