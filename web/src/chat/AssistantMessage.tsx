import { Trans, useLingui } from '@lingui/react/macro'
import { IconChevronRight, IconPlayerPlay, IconRefresh } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { memo, useEffect, useState } from 'react'
import { modelsQuery } from '../api/queries'
import type { Message } from '../api/types'
import { Button, Glyph, IconButton } from '../ui/Button'
import { CopyButton } from '../ui/CopyButton'
import { useFormat } from '../ui/format'
import { whenIdle } from '../ui/idle'
import { Note } from '../ui/Note'
import { modelLetter } from '../ui/people'
import { ChargeButton } from './ChargeButton'
import { useLive } from './live'
import { modelName } from './models'
import { Versions } from './Versions'

type MarkdownPart = typeof import('./markdown/Markdown').Markdown

let loadedMarkdown: MarkdownPart | undefined

/** Resolves when the Markdown part is there; until then answers are shown as plain text. */
export async function loadMarkdown(): Promise<MarkdownPart> {
  loadedMarkdown ??= (await import('./markdown/Markdown')).Markdown
  return loadedMarkdown
}

/** Fetches the Markdown part before it is needed, once the page is idle. */
export function preloadMarkdown(): void {
  whenIdle(() => void loadMarkdown().catch(() => {}))
}

/** The text of an answer. React's own `lazy` would first show plain text even of what is loaded, and for 300 ms at least. */
function AnswerText(props: { text: string; growing: boolean }) {
  const [Markdown, setMarkdown] = useState(() => loadedMarkdown)
  useEffect(() => {
    // Without it the text is readable all the same.
    if (!Markdown)
      void loadMarkdown().then(
        (part) => setMarkdown(() => part),
        () => {},
      )
  }, [Markdown])
  return Markdown ? <Markdown {...props} /> : <div style={{ whiteSpace: 'pre-wrap' }}>{props.text}</div>
}

function Reasoning({ text, thinking }: { text: string; thinking: boolean }) {
  const [open, setOpen] = useState(false)
  return (
    <div className="think">
      <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
        <Glyph icon={IconChevronRight} small />
        {thinking ? <Trans>Reasoning…</Trans> : <Trans>Reasoning</Trans>}
      </button>
      {open && <div className="think-text">{text}</div>}
    </div>
  )
}

/** What became of an answer that is not simply done, and what can be done about it. */
function Outcome(props: { message: Message; last: boolean; onContinue: () => void; onRetry: () => void }) {
  const f = useFormat()
  const { run } = props.message
  const more = props.last && (
    <Button size="small" icon={IconPlayerPlay} onClick={props.onContinue}>
      <Trans>Continue</Trans>
    </Button>
  )
  if (!run) return null
  if (run.state === 'failed') {
    return (
      <Note tone="bad">
        <div className="row">
          <span className="space">{run.error ? run.error.detail : <Trans>The answer failed.</Trans>}</span>
          {props.message.content && more}
          <Button size="small" icon={IconRefresh} onClick={props.onRetry}>
            <Trans>Retry</Trans>
          </Button>
        </div>
      </Note>
    )
  }
  const line = (text: React.ReactNode) => (
    <div className="row sm t3" style={{ margin: '6px 0 2px', minHeight: 28 }}>
      <span>{text}</span>
      {more}
    </div>
  )
  if (run.state === 'stopped') return line(<Trans>Stopped.</Trans>)
  if (run.state === 'interrupted')
    return line(<Trans>The server was interrupted here. What was written is kept.</Trans>)
  if (run.finish_reason === 'length' && run.shortened_to > 0)
    return line(<Trans>Cut at {f.number(run.shortened_to)} tokens, because a budget is nearly used up.</Trans>)
  if (run.finish_reason === 'length') return line(<Trans>Cut at the length limit.</Trans>)
  return null
}

interface Props {
  message: Message
  versions: Message[]
  /** It is the end of the shown branch. */
  last: boolean
  busy: boolean
  onVersion: (id: string) => void
  onRegenerate: (message: Message) => void
  onContinue: (message: Message) => void
}

/** An answer: model, folded reasoning, text, actions, charge. No bubble and no frame. */
export const AssistantMessage = memo(function AssistantMessage(props: Props) {
  const { message, versions, busy } = props
  const { t } = useLingui()
  const f = useFormat()
  const { data: models } = useQuery(modelsQuery)
  const { run, charge } = message
  const running = run?.state === 'running'
  const live = useLive(running ? run.id : undefined)
  const text = live?.text ?? message.content
  const reasoning = live?.reasoning ?? message.reasoning
  const name = modelName(models, message.model)
  const took = run?.ended_at ? Date.parse(run.ended_at) - Date.parse(run.started_at) : null
  return (
    <article className="answer" aria-label={t`Answer by ${name}`} aria-busy={running}>
      <h2 className="who">
        <span className="mark" aria-hidden="true">
          {modelLetter(name)}
        </span>
        {name}
      </h2>
      {reasoning && <Reasoning text={reasoning} thinking={running && !text} />}
      {text ? <AnswerText text={text} growing={running} /> : running && <div className="caret" />}
      {!running && (
        <Outcome
          message={message}
          last={props.last && !busy}
          onContinue={() => props.onContinue(message)}
          onRetry={() => props.onRegenerate(message)}
        />
      )}
      <div className="acts">
        {!running && (
          <>
            <CopyButton text={text} label={t`Copy answer`} />
            <IconButton
              label={t`Regenerate`}
              icon={IconRefresh}
              small
              disabled={busy}
              onClick={() => props.onRegenerate(message)}
            />
            <Versions message={message} versions={versions} onVersion={props.onVersion} />
            <span className="space" />
            <span className="by nw ellipsis" title={f.dateTime(message.created_at)}>
              <span className="desktop-only">{name}</span>
              {took !== null && (
                <>
                  <span className="desktop-only"> · </span>
                  {f.duration(took)}
                </>
              )}
            </span>
            {charge && <ChargeButton charge={charge} />}
          </>
        )}
      </div>
    </article>
  )
})
