import { Trans, useLingui } from '@lingui/react/macro'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { Link } from 'wouter'
import { navigate } from '../ui/leave'
import './chat.css'
import './lists.css'
import './markdown/markdown.css'
import { ApiError } from '../api/client'
import { updateEnded } from '../api/feed'
import { chatQuery, chatsQuery, instanceQuery, meQuery, modelsQuery, ownBudgetsQuery } from '../api/queries'
import type { Chat, Message } from '../api/types'
import { uuid } from '../api/uuid'
import { useErrorText } from '../ui/errors'
import { useFormat } from '../ui/format'
import { LoadError } from '../ui/Load'
import { Note } from '../ui/Note'
import { isTouch, usePhone } from '../ui/phone'
import { toast } from '../ui/toasts'
import { preloadMarkdown } from './AssistantMessage'
import { continueAnswer, regenerate, sendMessage, showBranch } from './actions'
import { ChatHeader } from './ChatHeader'
import { Composer } from './Composer'
import { clearDraft, readDraft, writeDraft } from './drafts'
import { Greeting } from './Greeting'
import { ModelPicker } from './ModelPicker'
import { pickModel, rememberModel } from './models'
import { Thread } from './Thread'
import { currentPath, leafBelow } from './tree'
import { useRuns } from './useRuns'

const nothing: Message[] = []

/** What a screen reader hears: that an answer is coming, and then the answer, once. Never the stream. */
function useAnnouncement(running: boolean) {
  const { t } = useLingui()
  const [finished, setFinished] = useState('')
  const onDone = useCallback((message: Message) => setFinished(message.content.slice(0, 1_500)), [])
  return { onDone, text: running ? t`Answering…` : finished && t`Answer finished. ${finished}` }
}

/** The ids for a message. An attempt whose outcome is unknown keeps its ids, so it cannot be stored twice. */
function attemptFor(
  draftKey: string | undefined,
  chatId: string | undefined,
  content: string,
  model: string,
  parent: string | null,
) {
  const before = readDraft(draftKey).attempt
  if (before && before.content === content && before.model === model && before.parent_id === parent) return before
  return { chat_id: chatId ?? uuid(), message_id: uuid(), reply_id: uuid(), content, model, parent_id: parent }
}

export function ChatPage({ chatId }: { chatId: string | undefined }) {
  const { t } = useLingui()
  const f = useFormat()
  const phone = usePhone()
  const errorText = useErrorText()
  const { data: instance } = useQuery(instanceQuery)
  const { data: me } = useQuery(meQuery)
  const { data: models, error: modelsError, refetch: fetchModels } = useQuery(modelsQuery)
  const chatResult = useQuery({ ...chatQuery(chatId ?? ''), enabled: !!chatId })
  const chat: Chat | undefined = chatId ? chatResult.data : undefined
  const path = useMemo(() => (chat ? currentPath(chat.messages, chat.current_id) : nothing), [chat])
  const [chosen, setChosen] = useState<string>()
  const [problem, setProblem] = useState<string | null>(null)
  const thread = useRef<{ toEnd: () => void }>(null)
  const model = pickModel(models, chosen, path)
  const running = path.findLast((m) => m.run?.state === 'running')
  const announcement = useAnnouncement(!!running)
  useRuns(chat, announcement.onDone)

  useEffect(preloadMarkdown, [])
  const { data: chats } = useInfiniteQuery(chatsQuery)
  const listed = chats?.pages.flatMap((p) => p.items).find((row) => row.id === chatId)
  const title = listed?.title || chat?.title || ''
  useEffect(() => {
    document.title = [title, instance?.name ?? 'mAI'].filter(Boolean).join(' · ')
  }, [title, instance])

  const send = async (content: string) => {
    const before = readDraft(chatId).attempt
    if (before?.content === content && chat?.messages.some((m) => m.id === before.message_id)) {
      clearDraft(chatId) // the attempt whose outcome was unknown had come in
      return
    }
    const parent = path.at(-1)?.id ?? null
    const attempt = attemptFor(chatId, chatId, content, model, parent)
    writeDraft(chatId, { text: content, attempt })
    setProblem(null)
    try {
      const { chat_id, ...message } = attempt
      await sendMessage(chat_id, message)
    } catch (error) {
      // A clear refusal stored nothing; only silence leaves the outcome open.
      if (error instanceof ApiError && !error.unreachable) writeDraft(chatId, { text: content })
      throw error
    }
    clearDraft(chatId)
    rememberModel(model)
    if (!chatId) navigate(`/c/${attempt.chat_id}`)
    else requestAnimationFrame(() => thread.current?.toEnd())
  }

  const [waiting, setWaiting] = useState(false)
  const attempt = useCallback(
    async (work: () => Promise<void>) => {
      setProblem(null)
      const button = document.activeElement
      setWaiting(true)
      await updateEnded()
      setWaiting(false)
      await work().then(
        () =>
          requestAnimationFrame(() => {
            thread.current?.toEnd()
            // The button that began it is gone, or will be: the focus goes where the next message is written.
            const at = document.activeElement
            if ((at === document.body || at === button) && !isTouch())
              document.querySelector<HTMLElement>('.composer textarea')?.focus({ preventScroll: true })
          }),
        (error) => setProblem(errorText(error)),
      )
    },
    [errorText],
  )
  const held = waiting && !!instance?.updating
  const id = chat?.id ?? ''
  const onRegenerate = useCallback(
    (m: Message) => void attempt(() => regenerate(id, m.id, uuid(), chosen ?? m.model)),
    [attempt, id, chosen],
  )
  const onContinue = useCallback((m: Message) => void attempt(() => continueAnswer(id, m.id)), [attempt, id])
  const onEdit = useCallback(
    async (m: Message, content: string) => {
      await sendMessage(id, { message_id: uuid(), reply_id: uuid(), parent_id: m.parent_id, content, model })
      requestAnimationFrame(() => thread.current?.toEnd())
    },
    [id, model],
  )
  const messages = chat?.messages ?? nothing
  const onVersion = useCallback((to: string) => void showBranch(id, leafBelow(messages, to)), [id, messages])

  const connected = me?.connected ?? true
  const admin = me?.role === 'admin'
  const { data: budgets } = useQuery(ownBudgetsQuery)
  const monthly = budgets?.find((b) => b.scope === 'company' && b.period === 'month')
  const picker = <ModelPicker value={model} onChange={setChosen} compact={phone && !!chatId} />
  const modelsFailed = connected && !models && modelsError
  const composer = (
    <Composer
      key={chatId ?? 'new'}
      chatId={chatId}
      placeholder={path.length > 0 ? t`Write the next message` : t`Ask anything`}
      running={running}
      updating={instance?.updating}
      loading={connected && (!models || (!!chatId && !chat))}
      refused={
        connected
          ? models && !model
            ? t`There is no model that can be used. Ask your admin.`
            : undefined
          : t`No key is connected, so nothing can be answered.`
      }
      foot={phone && chatId ? picker : undefined}
      onSend={send}
    />
  )
  const missing = chatResult.error instanceof ApiError && chatResult.error.status === 404
  useEffect(() => {
    if (!missing) return
    toast(t`This chat is not here any more.`)
    navigate('/')
  }, [missing, t])

  return (
    <>
      <ChatHeader
        picker={phone && chatId ? undefined : picker}
        title={phone && chatId ? title || t`New chat` : undefined}
        right={
          admin && monthly && !chatId ? (
            <span className="xs t3 tn nw desktop-only" style={{ paddingRight: 8 }}>
              <Trans>{f.shortMoney(monthly.remaining)} left this month</Trans>
            </span>
          ) : undefined
        }
      />
      <div role="status" className="hidden-visually">
        {announcement.text}
      </div>
      {modelsFailed && (
        <div className="col" style={{ paddingTop: 12 }}>
          <LoadError error={modelsError} onRetry={() => fetchModels()} />
        </div>
      )}
      {!chatId ? (
        <Greeting name={me?.name ?? ''} connected={connected} admin={admin}>
          {composer}
        </Greeting>
      ) : (
        <>
          <h1 className="hidden-visually">{title || t`Chat`}</h1>
          {chat ? (
            <Thread
              key={chat.id}
              chat={chat}
              path={path}
              busy={!!running || held}
              onVersion={onVersion}
              onRegenerate={onRegenerate}
              onContinue={onContinue}
              onEdit={onEdit}
              handle={thread}
            />
          ) : (
            <div className="thread-frame">
              {chatResult.isError && !missing && (
                <div className="col" style={{ paddingTop: 24 }}>
                  <LoadError error={chatResult.error} onRetry={() => chatResult.refetch()} />
                </div>
              )}
            </div>
          )}
          {held && (
            <div className="col" role="status" style={{ paddingBottom: 8 }}>
              <Note>
                <Trans>The answer begins after the update.</Trans>
              </Note>
            </div>
          )}
          {problem && (
            <div className="col" style={{ paddingBottom: 8 }}>
              <Note tone="bad">{problem}</Note>
            </div>
          )}
          {!connected && (
            <div className="col" style={{ paddingBottom: 8 }}>
              <Note tone="warn">
                {admin ? (
                  <>
                    <Trans>No key is connected, so nothing can be answered.</Trans>{' '}
                    <Link href="/settings/connections">
                      <Trans>Connect OpenRouter</Trans>
                    </Link>
                  </>
                ) : (
                  <Trans>Your admin has not connected a model provider yet. Your chats are kept.</Trans>
                )}
              </Note>
            </div>
          )}
          {composer}
        </>
      )}
    </>
  )
}
