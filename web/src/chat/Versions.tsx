import { useLingui } from '@lingui/react/macro'
import { IconChevronLeft, IconChevronRight } from '@tabler/icons-react'
import type { Message } from '../api/types'
import { IconButton } from '../ui/Button'

/** ‹2/3›: steps through the versions of a message. */
export function Versions(props: { message: Message; versions: Message[]; onVersion: (id: string) => void }) {
  const { t } = useLingui()
  const at = props.versions.findIndex((m) => m.id === props.message.id)
  if (props.versions.length < 2) return null
  const step = (by: number) => {
    const next = props.versions[at + by]
    if (next) props.onVersion(next.id)
  }
  return (
    <>
      <IconButton
        label={t`Previous version`}
        icon={IconChevronLeft}
        small
        disabled={at === 0}
        onClick={() => step(-1)}
      />
      <span className="tn">
        {at + 1}/{props.versions.length}
      </span>
      <IconButton
        label={t`Next version`}
        icon={IconChevronRight}
        small
        disabled={at === props.versions.length - 1}
        onClick={() => step(1)}
      />
    </>
  )
}
