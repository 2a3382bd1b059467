// A chat is a tree of messages; what is shown is one path from the root to a leaf, or the part of it that is loaded.
import type { Message } from '../api/types'

interface Index {
  byId: Map<string, Message>
  /** Children in the order they were made, also of a message that is not loaded; null holds the roots. */
  children: Map<string | null, Message[]>
  /** What was asked for by `versions`, so that it is the same list every time. */
  versions: Map<string, Message[]>
}

const indexes = new WeakMap<Message[], Index>()

function index(messages: Message[]): Index {
  const known = indexes.get(messages)
  if (known) return known
  const byId = new Map(messages.map((m) => [m.id, m]))
  const children = new Map<string | null, Message[]>()
  for (const message of messages) {
    const list = children.get(message.parent_id)
    if (list) list.push(message)
    else children.set(message.parent_id, [message])
  }
  for (const list of children.values()) list.sort((a, b) => a.created_at.localeCompare(b.created_at))
  const made = { byId, children, versions: new Map() }
  indexes.set(messages, made)
  return made
}

/** The newest leaf below a message. */
export function leafBelow(messages: Message[], id: string): string {
  const { children } = index(messages)
  let at = id
  for (;;) {
    const next = children.get(at)?.at(-1)
    if (!next) return at
    at = next.id
  }
}

/** The loaded messages on the way from the root to the current leaf. Without a valid current message, the newest branch. */
export function currentPath(messages: Message[], currentId: string | null): Message[] {
  const { byId, children } = index(messages)
  const start = currentId && byId.has(currentId) ? currentId : children.get(null)?.at(-1)?.id
  if (!start) return []
  const path: Message[] = []
  const seen = new Set<string>()
  let at: Message | undefined = byId.get(leafBelow(messages, start))
  while (at && !seen.has(at.id)) {
    seen.add(at.id)
    path.push(at)
    at = at.parent_id ? byId.get(at.parent_id) : undefined
  }
  return path.reverse()
}

/** The versions of a message: it and its siblings, oldest first. */
export function versions(messages: Message[], message: Message): Message[] {
  const { children, versions: asked } = index(messages)
  let list = asked.get(message.id)
  if (!list) {
    list = (children.get(message.parent_id) ?? [message]).filter((m) => m.role === message.role)
    asked.set(message.id, list)
  }
  return list
}
