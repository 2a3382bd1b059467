import { useLingui } from '@lingui/react/macro'
import { IconChevronLeft, IconChevronRight } from '@tabler/icons-react'
import type { Message } from '../api/types'
import { IconButton } from '../ui/Button'

/**
 * The version that takes the place of this one has buttons of its own: the focus goes to the same one, as soon as it is
 * there.
 */
function focusStep(id: string, by: number, frames = 60): void {
  requestAnimationFrame(() => {
    const button = document.getElementById(`step${by}-${id}`)
    if (button) button.focus({ preventScroll: true })
    else if (frames > 0) focusStep(id, by, frames - 1)
  })
}

/** ‹2/3›: steps through the versions of a message. */
export function Versions(props: { message: Message; versions: Message[]; onVersion: (id: string) => void }) {
  const { t } = useLingui()
  const { id } = props.message
  const at = props.versions.findIndex((m) => m.id === id)
  if (props.versions.length < 2) return null
  const step = (by: number, label: string, icon: typeof IconChevronLeft) => {
    const next = props.versions[at + by]
    return (
      <IconButton
        id={`step${by}-${id}`}
        label={label}
        icon={icon}
        small
        // Not `disabled`, which would lose the focus at the end of the row.
        aria-disabled={!next}
        onClick={() => {
          if (!next) return
          props.onVersion(next.id)
          focusStep(next.id, by)
        }}
      />
    )
  }
  return (
    <>
      {step(-1, t`Previous version`, IconChevronLeft)}
      <span className="tn">
        {at + 1}/{props.versions.length}
      </span>
      {step(1, t`Next version`, IconChevronRight)}
    </>
  )
}
