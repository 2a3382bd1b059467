import { useLingui } from '@lingui/react/macro'
import { IconMenu2 } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import { IconButton } from '../ui/Button'
import { useSidebar } from '../ui/sidebar'

/** The scrolling frame around every settings page; on a phone with the way to the menu. */
export function SettingsPage({ children }: { children: ReactNode }) {
  const { t } = useLingui()
  const sidebar = useSidebar()
  return (
    <>
      <header className="top line mobile-top">
        <IconButton label={t`Menu`} icon={IconMenu2} onClick={sidebar.openDrawer} />
        <b className="strong">{t`Settings`}</b>
      </header>
      <div className="page">{children}</div>
    </>
  )
}
