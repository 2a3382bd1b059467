import { Trans, useLingui } from '@lingui/react/macro'
import { IconPencil } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { memo, useEffect, useRef, useState } from 'react'
import { updateEnded } from '../api/feed'
import { instanceQuery } from '../api/queries'
import type { Message } from '../api/types'
import { Button, IconButton } from '../ui/Button'
import { CopyButton } from '../ui/CopyButton'
import { useErrorText } from '../ui/errors'
import { isTouch } from '../ui/phone'
import { Versions } from './Versions'

interface Props {
  message: Message
  versions: Message[]
  busy: boolean
  onVersion: (id: string) => void
  /** Sends the changed text as another version of this message. */
  onEdit: (message: Message, text: string) => Promise<void>
}

function Editor({ message, onEdit, onClose }: { message: Message; onEdit: Props['onEdit']; onClose: () => void }) {
  const { t } = useLingui()
  const errorText = useErrorText()
  const [text, setText] = useState(message.content)
  const [busy, setBusy] = useState(false)
  const { data: instance } = useQuery(instanceQuery)
  const [error, setError] = useState<string | null>(null)
  const area = useRef<HTMLTextAreaElement>(null)
  useEffect(() => {
    area.current?.focus()
    area.current?.setSelectionRange(message.content.length, message.content.length)
  }, [message])
  const save = async () => {
    if (busy || text.trim() === '') return
    setBusy(true)
    try {
      await updateEnded()
      if (!area.current) return // closed meanwhile
      await onEdit(message, text.trim())
      onClose()
    } catch (cause) {
      setError(errorText(cause))
      setBusy(false)
    }
  }
  return (
    <div className="own-edit">
      <textarea
        ref={area}
        aria-label={t`Edit message`}
        value={text}
        readOnly={busy}
        onChange={(e) => setText(e.target.value)}
        onKeyDown={(e) => {
          if (e.nativeEvent.isComposing || e.keyCode === 229) return
          if (e.key === 'Escape') {
            e.preventDefault()
            onClose()
          } else if (e.key === 'Enter' && !e.shiftKey && !isTouch()) {
            e.preventDefault()
            void save()
          }
        }}
      />
      {error && (
        <div className="field-error" role="alert" style={{ marginBottom: 8 }}>
          {error}
        </div>
      )}
      <div className="row" style={{ justifyContent: 'flex-end' }}>
        {busy && instance?.updating && (
          <span className="xs t3 space" role="status">
            <Trans>Sent after the update.</Trans>
          </span>
        )}
        <Button look="quiet" size="small" onClick={onClose}>
          <Trans>Cancel</Trans>
        </Button>
        <Button look="primary" size="small" disabled={busy || text.trim() === ''} onClick={save}>
          <Trans>Send</Trans>
        </Button>
      </div>
    </div>
  )
}

/** What the person wrote: a quiet block on the right. Editing makes another version and keeps this one. */
export const UserMessage = memo(function UserMessage({ message, versions, busy, onVersion, onEdit }: Props) {
  const { t } = useLingui()
  const [editing, setEditing] = useState(false)
  return (
    <article className="own" aria-label={t`Your message`}>
      {editing ? (
        <Editor message={message} onEdit={onEdit} onClose={() => setEditing(false)} />
      ) : (
        <>
          <div className="own-text">{message.content}</div>
          <div className="acts">
            <Versions message={message} versions={versions} onVersion={onVersion} />
            <CopyButton text={message.content} label={t`Copy message`} className="on-hover" />
            <IconButton
              label={t`Edit message`}
              icon={IconPencil}
              small
              className="on-hover"
              disabled={busy}
              onClick={() => setEditing(true)}
            />
          </div>
        </>
      )}
    </article>
  )
})
