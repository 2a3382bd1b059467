import { IconAlertCircle, IconAlertTriangle, IconCircleCheck, IconInfoCircle } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import { Glyph, type Icon } from './Button'

const icons = { good: IconCircleCheck, bad: IconAlertCircle, warn: IconAlertTriangle, plain: IconInfoCircle }

/** A quiet box with a sentence. `bad` is announced at once, since it answers what the person just did. */
export function Note(props: { tone?: keyof typeof icons; icon?: Icon; title?: ReactNode; children?: ReactNode }) {
  const tone = props.tone ?? 'plain'
  return (
    <div className={`note ${tone}`} role={tone === 'bad' ? 'alert' : undefined}>
      <Glyph icon={props.icon ?? icons[tone]} />
      <div>
        {props.title && <b>{props.title} </b>}
        {props.children}
      </div>
    </div>
  )
}
