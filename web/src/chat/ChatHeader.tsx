import { useLingui } from '@lingui/react/macro'
import { IconEdit, IconLayoutSidebar, IconMenu2 } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import { IconButton } from '../ui/Button'
import { navigate } from '../ui/leave'
import { useSidebar } from '../ui/sidebar'

/** The bar above a chat. */
export function ChatHeader(props: { picker?: ReactNode; title?: string; right?: ReactNode }) {
  const { t } = useLingui()
  const sidebar = useSidebar()
  return (
    <header className={props.title ? 'top line' : 'top'}>
      <IconButton className="mobile-only" label={t`Menu`} icon={IconMenu2} onClick={sidebar.openDrawer} />
      {sidebar.hidden && (
        <IconButton
          className="desktop-only"
          label={t`Show sidebar`}
          icon={IconLayoutSidebar}
          onClick={sidebar.toggle}
        />
      )}
      {props.picker}
      {props.title && <b className="strong ellipsis">{props.title}</b>}
      <span className="space" />
      {props.right}
      <IconButton className="mobile-only" label={t`New chat`} icon={IconEdit} onClick={() => navigate('/')} />
    </header>
  )
}
