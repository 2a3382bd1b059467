import { useLingui } from '@lingui/react/macro'
import { IconMenu2 } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import { useLocation } from 'wouter'
import { IconButton } from '../ui/Button'
import { useSidebar } from '../ui/sidebar'
import { usePageName } from './SettingsNav'

/** The scrolling frame around every settings page; on a phone with the way to the menu. */
export function SettingsPage({ children }: { children: ReactNode }) {
  const { t } = useLingui()
  const sidebar = useSidebar()
  const name = usePageName()
  const [path] = useLocation()
  return (
    <>
      <header className="top line mobile-top">
        <IconButton label={t`Menu`} icon={IconMenu2} onClick={sidebar.openDrawer} />
        {/* The heading of the page says it to everybody else. */}
        <b className="strong" aria-hidden="true">
          {name}
        </b>
      </header>
      {/* A frame of its own for each page, so that every page begins at its top. */}
      <div className="page" key={path}>
        {children}
      </div>
    </>
  )
}
