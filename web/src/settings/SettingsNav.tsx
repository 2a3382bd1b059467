import { Trans, useLingui } from '@lingui/react/macro'
import {
  IconArrowLeft,
  IconChartBar,
  IconDatabaseExport,
  IconKey,
  IconPlugConnected,
  IconShieldLock,
  IconSun,
  IconUserCircle,
  IconUsers,
  IconWallet,
} from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Link, useLocation } from 'wouter'
import { meQuery } from '../api/queries'
import { Glyph, type Icon } from '../ui/Button'
import { useSidebar } from '../ui/sidebar'

type Page =
  | 'profile'
  | 'appearance'
  | 'api-key'
  | 'data-policy'
  | 'connections'
  | 'users'
  | 'usage'
  | 'budgets'
  | 'backups'

/** The name of the settings page that is open. */
export function usePageName(): string {
  const { t } = useLingui()
  const [path] = useLocation()
  const names: Record<Page, string> = {
    profile: t`Profile`,
    appearance: t`Appearance`,
    'api-key': t`API keys`,
    'data-policy': t`Data policy`,
    connections: t`Connections`,
    users: t`Users`,
    usage: t`Usage`,
    budgets: t`Budgets`,
    backups: t`Backups`,
  }
  return names[path.split('/')[2] as Page] ?? t`Settings`
}

function Item({ to, icon, children }: { to: Page; icon: Icon; children: ReactNode }) {
  const { closeDrawer } = useSidebar()
  const [path] = useLocation()
  return (
    <li>
      <Link
        href={`/settings/${to}`}
        className="nav"
        aria-current={path === `/settings/${to}` ? 'page' : undefined}
        onClick={closeDrawer}
      >
        <Glyph icon={icon} />
        <span className="ellipsis">{children}</span>
      </Link>
    </li>
  )
}

/** The sidebar of the settings. What only admins may do is not shown to others. */
export function SettingsNav({ version }: { version: string }) {
  const { t } = useLingui()
  const { closeDrawer } = useSidebar()
  const { data: me } = useQuery(meQuery)
  return (
    <>
      <div style={{ padding: '8px 0 0' }}>
        <Link href="/" className="nav" onClick={closeDrawer}>
          <Glyph icon={IconArrowLeft} />
          <span>
            <Trans>Back to chat</Trans>
          </span>
        </Link>
      </div>
      <nav className="nav-list" aria-label={t`Settings`}>
        <h2 className="cap">
          <Trans>Personal</Trans>
        </h2>
        <ul>
          <Item to="profile" icon={IconUserCircle}>
            <Trans>Profile</Trans>
          </Item>
          <Item to="appearance" icon={IconSun}>
            <Trans>Appearance</Trans>
          </Item>
          <Item to="api-key" icon={IconKey}>
            <Trans>API keys</Trans>
          </Item>
          <Item to="data-policy" icon={IconShieldLock}>
            <Trans>Data policy</Trans>
          </Item>
          {me?.role !== 'admin' && (
            <>
              <Item to="usage" icon={IconChartBar}>
                <Trans>Usage</Trans>
              </Item>
              <Item to="budgets" icon={IconWallet}>
                <Trans>Budgets</Trans>
              </Item>
            </>
          )}
        </ul>
        {me?.role === 'admin' && (
          <>
            <h2 className="cap">
              <Trans>Workspace</Trans>
            </h2>
            <ul>
              <Item to="connections" icon={IconPlugConnected}>
                <Trans>Connections</Trans>
              </Item>
              <Item to="users" icon={IconUsers}>
                <Trans>Users</Trans>
              </Item>
              <Item to="usage" icon={IconChartBar}>
                <Trans>Usage</Trans>
              </Item>
              <Item to="budgets" icon={IconWallet}>
                <Trans>Budgets</Trans>
              </Item>
              <Item to="backups" icon={IconDatabaseExport}>
                <Trans>Backups</Trans>
              </Item>
            </ul>
          </>
        )}
      </nav>
      <div className="xs t3" style={{ padding: 8 }}>
        <Trans>Release {version}</Trans>
      </div>
    </>
  )
}
