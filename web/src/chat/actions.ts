// What a person can do in a chat, and what it changes in the cached chat.
import { del, get, patch, post } from '../api/client'
import { updateChatRow } from '../api/feed'
import { chatQuery, chatsQuery, mergeMessages, queryClient } from '../api/queries'
import type { Chat, ChatRow, Message, RunReply, SendReply, SendRequest } from '../api/types'

function editChat(chatId: string, edit: (chat: Chat) => Chat): void {
  queryClient.setQueryData(chatQuery(chatId).queryKey, (chat: Chat | undefined) => chat && edit(chat))
}

/** Puts messages into the cached chat, replacing those it already has, and makes `currentId` the shown leaf. */
export function putMessages(chatId: string, messages: Message[], currentId?: string): void {
  // A reading of the chat that is still on its way is older than this.
  void queryClient.cancelQueries({ queryKey: chatQuery(chatId).queryKey }, { revert: false })
  editChat(chatId, (chat) => ({
    ...chat,
    messages: mergeMessages(chat.messages, messages),
    current_id: currentId ?? chat.current_id,
  }))
}

/** Sends a message; the chat is made with it when it is the first one. */
export async function sendMessage(chatId: string, request: SendRequest): Promise<SendReply> {
  const sent = await post<SendReply>(`/chats/${chatId}/messages`, request)
  const query = chatQuery(chatId)
  const now = sent.user.created_at
  if (!queryClient.getQueryData(query.queryKey)) {
    const chat: Chat = { id: chatId, title: '', created_at: now, updated_at: now, current_id: null, messages: [] }
    queryClient.setQueryData(query.queryKey, chat)
  }
  putMessages(chatId, [sent.user, sent.reply], sent.reply.id)
  // A short answer may be over by now, and the feed may have said so: it is believed over this reply.
  const rows = queryClient.getQueryData(chatsQuery.queryKey)?.pages.flatMap((page) => page.items)
  const told = rows?.find((row) => row.id === chatId && row.updated_at >= now)
  if (!told) {
    const title = queryClient.getQueryData<Chat>(query.queryKey)?.title ?? ''
    updateChatRow({ id: chatId, title, updated_at: now, running: true, deleted: false })
  }
  return sent
}

export async function regenerate(chatId: string, messageId: string, replyId: string, model: string): Promise<void> {
  const { reply } = await post<RunReply>(`/chats/${chatId}/messages/${messageId}/regenerate`, {
    reply_id: replyId,
    model,
  })
  putMessages(chatId, [reply], reply.id)
}

export async function continueAnswer(chatId: string, messageId: string): Promise<void> {
  const { reply } = await post<RunReply>(`/chats/${chatId}/messages/${messageId}/continue`)
  putMessages(chatId, [reply], reply.id)
}

export const stopRun = (runId: string) => post<void>(`/runs/${runId}/stop`)

/** Loads messages above one, as many as are there already: each time twice as far back. */
export async function loadEarlier(chatId: string, beforeId: string, loaded: number): Promise<void> {
  const limit = Math.min(Math.max(loaded, 100), 1_000)
  const { messages } = await get<Chat>(`/chats/${chatId}?before=${beforeId}&limit=${limit}`)
  editChat(chatId, (chat) => ({ ...chat, messages: mergeMessages(chat.messages, messages) }))
}

/**
 * Shows another branch at once, as far as it is loaded, remembers it on the server, and loads the rest. A failure only
 * means that it is not remembered.
 */
export async function showBranch(chatId: string, leafId: string): Promise<void> {
  editChat(chatId, (chat) => ({ ...chat, current_id: leafId }))
  try {
    await patch(`/chats/${chatId}`, { current_id: leafId })
    const { messages } = await get<Chat>(`/chats/${chatId}?from=${leafId}`)
    if (messages.length > 0) editChat(chatId, (chat) => ({ ...chat, messages: mergeMessages(chat.messages, messages) }))
  } catch {
    // What is loaded is shown all the same.
  }
}

export async function renameChat(chatId: string, title: string): Promise<void> {
  editChat(chatId, (chat) => ({ ...chat, title }))
  const row = await patch<ChatRow>(`/chats/${chatId}`, { title })
  updateChatRow({ ...row, deleted: false })
}

/** Takes the chat from the list at once; puts it back when the server refuses. */
export async function deleteChat(row: ChatRow): Promise<void> {
  updateChatRow({ ...row, deleted: true })
  try {
    await del(`/chats/${row.id}`)
  } catch (error) {
    updateChatRow({ ...row, deleted: false })
    throw error
  }
}

export async function restoreChat(chatId: string): Promise<void> {
  const row = await post<ChatRow>(`/chats/${chatId}/restore`)
  updateChatRow({ ...row, deleted: false })
  await queryClient.invalidateQueries({ queryKey: chatsQuery.queryKey })
}
