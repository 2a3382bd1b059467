// What a person has typed, per chat, kept until the server has confirmed it.
import { readStored, writeStored } from '../ui/storage'

export interface Draft {
  text: string
  /** The ids of an attempt whose outcome is unknown: sending the same again must not make a second message. */
  attempt?: {
    chat_id: string
    message_id: string
    reply_id: string
    content: string
    model: string
    parent_id: string | null
  }
}

const key = (chatId: string | undefined) => `mai.draft.${chatId ?? 'new'}`

export const readDraft = (chatId: string | undefined): Draft => readStored<Draft>(key(chatId)) ?? { text: '' }

export function writeDraft(chatId: string | undefined, draft: Draft): void {
  writeStored(key(chatId), draft.text || draft.attempt ? draft : undefined)
}

export function clearDraft(chatId: string | undefined): void {
  writeStored(key(chatId), undefined)
  writeWaiting(chatId, undefined)
}

const waitingKey = (chatId: string | undefined) => `mai.waiting.${chatId ?? 'new'}`

/** What was sent while the workspace was being updated, and goes out when that is over: from this tab only, thus once. */
export const readWaiting = (chatId: string | undefined) => readStored<string>(waitingKey(chatId), true)

export const writeWaiting = (chatId: string | undefined, text: string | undefined) =>
  writeStored(waitingKey(chatId), text, true)
