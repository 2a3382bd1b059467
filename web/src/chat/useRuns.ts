import { useEffect } from 'react'
import { reportLine } from '../api/line'
import { chatQuery, queryClient } from '../api/queries'
import { followRun } from '../api/run-events'
import type { Chat, Message } from '../api/types'
import { putMessages } from './actions'
import { dropLive, seedLive, setLive } from './live'

/** A hidden tab stops following after this long; the answer goes on without it and is read again later. */
const hiddenFor = 20_000

function follow(chatId: string, message: Message, onDone: (message: Message) => void): () => void {
  const run = message.run
  if (!run) return () => {}
  const start = { text: message.content, reasoning: message.reasoning, seq: run.seq }
  seedLive(run.id, start)
  const stop = followRun(run.id, start, {
    onText: (state) => setLive(run.id, state),
    onLine: (up) => reportLine(run.id, up),
    onDone: (final) => {
      putMessages(chatId, [final])
      dropLive(run.id)
      onDone(final)
    },
    onRefused: async () => {
      const chat = await queryClient.fetchQuery({ ...chatQuery(chatId), staleTime: 0 }).catch(() => undefined)
      // Unreachable: go on trying. Reached: go on only while the stored message still says running.
      return (
        !chat || chat.messages.some((m) => m.id === message.id && m.run?.id === run.id && m.run.state === 'running')
      )
    },
  })
  return () => {
    stop()
    dropLive(run.id)
    reportLine(run.id, true)
  }
}

/** Follows every running answer of the chat while its page is open. */
export function useRuns(chat: Chat | undefined, onDone: (message: Message) => void): void {
  const chatId = chat?.id
  const running = chat?.messages.filter((m) => m.run?.state === 'running').map((m) => `${m.id}/${m.run?.id}`) ?? []
  const key = running.join(' ')
  // biome-ignore lint/correctness/useExhaustiveDependencies: the key says which runs there are; their text changes too often
  useEffect(() => {
    if (!chatId || !key) return
    let stops: (() => void)[] = []
    let timer: ReturnType<typeof setTimeout> | undefined
    const start = () => {
      const messages = queryClient.getQueryData<Chat>(chatQuery(chatId).queryKey)?.messages ?? []
      stops = messages.filter((m) => m.run?.state === 'running').map((m) => follow(chatId, m, onDone))
    }
    const stop = () => {
      for (const end of stops) end()
      stops = []
    }
    const onVisibility = () => {
      clearTimeout(timer)
      if (document.hidden) timer = setTimeout(stop, hiddenFor)
      else if (stops.length === 0)
        void queryClient.invalidateQueries({ queryKey: chatQuery(chatId).queryKey }).then(start)
    }
    document.addEventListener('visibilitychange', onVisibility)
    start()
    return () => {
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', onVisibility)
      stop()
    }
  }, [chatId, key])
}
