import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { IconDots, IconSearch, IconUserPlus, IconUsersGroup } from '@tabler/icons-react'
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import './admin.css'
import { patch } from '../api/client'
import { meQuery, queryClient, teamsQuery, usersQuery } from '../api/queries'
import type { Role, User } from '../api/types'
import { Button, Glyph, IconButton } from '../ui/Button'
import { Confirm } from '../ui/Dialog'
import { useErrorText } from '../ui/errors'
import { daysAgo, useFormat } from '../ui/format'
import { CardSkeleton, LoadError } from '../ui/Load'
import { Note } from '../ui/Note'
import { MenuButton } from '../ui/overlays'
import { initials } from '../ui/people'
import { finder } from '../ui/search'
import { useTeamName } from '../ui/teams'
import { usePageTitle } from '../ui/title'
import { AddPerson, ErasePerson, RenamePerson, ResetPassword } from './PersonDialogs'
import { ManageTeams, MoveToTeam } from './TeamDialogs'

/** When a person was last here, in the words of a colleague. */
export function useLastActive(): (iso: string | null | undefined) => string {
  const { t } = useLingui()
  const f = useFormat()
  return (iso) => {
    if (!iso) return '—'
    const time = new Date(iso)
    const now = new Date()
    const minutes = Math.floor((now.getTime() - time.getTime()) / 60_000)
    if (minutes < 1) return t`Now`
    if (minutes < 60) return t`${minutes} min ago`
    const ago = daysAgo(time, now)
    if (ago === 0) return t`Today ${f.time(time)}`
    if (ago === 1) return t`Yesterday`
    return f.date(iso)
  }
}

type Change = Partial<Pick<User, 'role' | 'disabled' | 'name'>>
type Asking = { kind: 'password' | 'rename' | 'team' | 'disable' | 'promote' | 'demote' | 'erase'; user: User }

/** Whether somebody has to let the person in or not. */
const waiting = (user: User) => user.role === 'pending' && !user.disabled

function RoleBadge({ user }: { user: User }) {
  if (user.disabled) {
    return (
      <span className="badge">
        <Trans>Disabled</Trans>
      </span>
    )
  }
  if (user.role === 'pending') {
    return (
      <span className="badge warn">
        <Trans>Pending</Trans>
      </span>
    )
  }
  if (user.role === 'admin') {
    return (
      <span className="badge accent">
        <Trans>Admin</Trans>
      </span>
    )
  }
  return (
    <span className="sm">
      <Trans>User</Trans>
    </span>
  )
}

function Actions(props: {
  user: User
  self: boolean
  onChange: (change: Change) => void
  onAsk: (kind: Asking['kind']) => void
}) {
  const { user, self, onChange, onAsk } = props
  const { t } = useLingui()
  return (
    <MenuButton button={<IconButton label={t`More for ${user.name}`} icon={IconDots} small />}>
      {(Menu) => (
        <>
          {!user.disabled && user.role === 'user' && (
            <Menu.Item onClick={() => onAsk('promote')}>
              <Trans>Make admin</Trans>
            </Menu.Item>
          )}
          {!user.disabled && user.role === 'admin' && (
            <Menu.Item onClick={() => onAsk('demote')}>
              <Trans>Make an ordinary user</Trans>
            </Menu.Item>
          )}
          <Menu.Item onClick={() => onAsk('team')}>
            <Trans>Move to a team</Trans>
          </Menu.Item>
          <Menu.Item onClick={() => onAsk('rename')}>
            <Trans>Rename</Trans>
          </Menu.Item>
          <Menu.Item onClick={() => onAsk('password')}>
            <Trans>Reset password</Trans>
          </Menu.Item>
          {!self && (
            <>
              <Menu.Divider />
              {user.disabled ? (
                <Menu.Item onClick={() => onChange({ disabled: false })}>
                  <Trans>Enable</Trans>
                </Menu.Item>
              ) : (
                <Menu.Item data-danger onClick={() => onAsk('disable')}>
                  {waiting(user) ? <Trans>Decline</Trans> : <Trans>Disable</Trans>}
                </Menu.Item>
              )}
              <Menu.Item data-danger onClick={() => onAsk('erase')}>
                <Trans>Erase…</Trans>
              </Menu.Item>
            </>
          )}
        </>
      )}
    </MenuButton>
  )
}

/** Those who wait for approval come first, then everybody by name. */
const byWaiting = (a: User, b: User) => Number(waiting(b)) - Number(waiting(a)) || a.name.localeCompare(b.name)

export function UsersPage() {
  const { t } = useLingui()
  const f = useFormat()
  const errorText = useErrorText()
  const lastActive = useLastActive()
  const { data: me } = useQuery(meQuery)
  const { data: users, error, refetch } = useQuery(usersQuery)
  const { data: teams } = useQuery(teamsQuery)
  const teamName = useTeamName()
  const [search, setSearch] = useState('')
  const [adding, setAdding] = useState(false)
  const [managing, setManaging] = useState(false)
  const [asking, setAsking] = useState<Asking | null>(null)
  usePageTitle(t`Users`)
  const change = useMutation({
    mutationFn: ({ id, ...body }: Change & { id: string }) => patch<User>(`/users/${id}`, body),
    onSuccess: (user) => {
      setAsking(null)
      queryClient.setQueryData(usersQuery.queryKey, (all) =>
        all?.map((u) => (u.id === user.id ? { ...u, ...user } : u)),
      )
    },
    onError: () => setAsking(null),
  })
  const teamOf = (user: User) => {
    const team = teams?.find((team) => team.id === user.team_id)
    return team ? teamName(team) : ''
  }
  const found = finder(search)
  const shown = (users ?? []).filter((u) => found(`${u.name} ${u.email} ${teamOf(u)}`)).sort(byWaiting)
  const admins = users?.filter((u) => u.role === 'admin').length ?? 0
  const setRole = (user: User, role: Role) => change.mutate({ id: user.id, role })
  const close = () => setAsking(null)
  const declining = !!asking && waiting(asking.user)
  return (
    <div className="wrap">
      <div className="head people-head">
        <div className="space">
          <h1>
            <Trans>Users</Trans>
          </h1>
          {users && (
            <p>
              <Plural value={users.length} one="# person" other="# people" />,{' '}
              <Plural value={admins} one="# admin" other="# admins" />. <Trans>People join by your invitation.</Trans>
            </p>
          )}
        </div>
        <div className="row">
          <Button icon={IconUsersGroup} onClick={() => setManaging(true)}>
            <Trans>Teams</Trans>
          </Button>
          <Button look="primary" icon={IconUserPlus} onClick={() => setAdding(true)}>
            <Trans>Add person</Trans>
          </Button>
        </div>
      </div>
      {error && !users && <LoadError error={error} onRetry={() => refetch()} />}
      {!users && !error && <CardSkeleton heights={[380]} />}
      {change.error && (
        <div style={{ marginBottom: 14 }}>
          <Note tone="bad">{errorText(change.error)}</Note>
        </div>
      )}
      {users && users.length > 5 && (
        <div className="people-tools">
          <div className="input soft">
            <Glyph icon={IconSearch} small />
            <input
              aria-label={t`Name, e-mail or team`}
              placeholder={t`Name, e-mail or team`}
              value={search}
              onChange={(e) => setSearch(e.target.value)}
            />
          </div>
        </div>
      )}
      {users && (
        <div className="card table-scroll people-card">
          <table className="data people">
            <thead>
              <tr>
                <th className="name-column">
                  <Trans>User</Trans>
                </th>
                <th className="desktop-only-cell">
                  <Trans>Role</Trans>
                </th>
                <th className="desktop-only-cell team-column">
                  <Trans>Team</Trans>
                </th>
                <th className="desktop-only-cell active-column">
                  <Trans>Last active</Trans>
                </th>
                <th className="n desktop-only-cell requests-column">
                  <Trans>Requests this month</Trans>
                </th>
                <th className="n desktop-only-cell">
                  <Trans>Charge this month</Trans>
                </th>
                <th className="fit">
                  <span className="hidden-visually">
                    <Trans>Actions</Trans>
                  </span>
                </th>
              </tr>
            </thead>
            <tbody>
              {shown.map((user) => (
                <tr key={user.id} className={user.disabled ? 'off' : undefined}>
                  <td className="name-column">
                    <div className="person-cell">
                      <span className="avatar desktop-only" aria-hidden="true">
                        {initials(user.name)}
                      </span>
                      <div>
                        <div className="row">
                          <span className="strong ellipsis">{user.name}</span>
                          {(user.role !== 'user' || user.disabled) && (
                            <span className="mobile-only">
                              <RoleBadge user={user} />
                            </span>
                          )}
                        </div>
                        <div className="under ellipsis">{user.email}</div>
                        <div className="under tn mobile-only ellipsis">
                          {[f.money(user.charge_month), user.last_active_at && lastActive(user.last_active_at)]
                            .filter(Boolean)
                            .join(' · ')}
                        </div>
                      </div>
                    </div>
                  </td>
                  <td className="desktop-only-cell">
                    <RoleBadge user={user} />
                  </td>
                  <td className="t2 desktop-only-cell team-column">
                    <div className="ellipsis team-name">{teamOf(user)}</div>
                  </td>
                  <td className="t2 desktop-only-cell active-column">{lastActive(user.last_active_at)}</td>
                  {!waiting(user) && (
                    <>
                      <td className="n t2 desktop-only-cell requests-column">{f.number(user.requests_month)}</td>
                      <td className="n desktop-only-cell">{f.money(user.charge_month)}</td>
                    </>
                  )}
                  <td className="fit" colSpan={waiting(user) ? 3 : 1}>
                    <div className="row actions">
                      {waiting(user) && (
                        <>
                          <Button
                            look="quiet"
                            size="small"
                            className="wide-only"
                            onClick={() => setAsking({ kind: 'disable', user })}
                          >
                            <Trans>Decline</Trans>
                          </Button>
                          <Button look="primary" size="small" onClick={() => setRole(user, 'user')}>
                            <Trans>Approve</Trans>
                          </Button>
                        </>
                      )}
                      <Actions
                        user={user}
                        self={user.id === me?.id}
                        onChange={(body) => change.mutate({ id: user.id, ...body })}
                        onAsk={(kind) => setAsking({ kind, user })}
                      />
                    </div>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
          {shown.length === 0 && (
            <p className="t2" style={{ padding: '16px 18px' }}>
              <Trans>Nobody has this name, e-mail or team.</Trans>
            </p>
          )}
        </div>
      )}
      <ManageTeams open={managing} onClose={() => setManaging(false)} />
      {asking?.kind === 'team' && <MoveToTeam user={asking.user} onClose={close} />}
      <AddPerson open={adding} onClose={() => setAdding(false)} />
      {asking?.kind === 'password' && <ResetPassword user={asking.user} onClose={close} />}
      {asking?.kind === 'erase' && <ErasePerson user={asking.user} onClose={close} />}
      {asking?.kind === 'rename' && <RenamePerson user={asking.user} onClose={close} />}
      <Confirm
        title={declining ? t`Decline account` : t`Disable account`}
        verb={declining ? t`Decline` : t`Disable`}
        danger
        open={asking?.kind === 'disable'}
        busy={change.isPending}
        onConfirm={() => asking && change.mutate({ id: asking.user.id, disabled: true })}
        onClose={close}
      >
        {declining ? (
          <Trans>{asking?.user.name} is not let in. The account stays in the list and can be enabled later.</Trans>
        ) : (
          <Trans>{asking?.user.name} is signed out at once and cannot sign in. Chats are kept.</Trans>
        )}
      </Confirm>
      <Confirm
        title={t`Make admin`}
        verb={t`Make admin`}
        open={asking?.kind === 'promote'}
        busy={change.isPending}
        onConfirm={() => asking && setRole(asking.user, 'admin')}
        onClose={close}
      >
        <Trans>{asking?.user.name} will see everybody's usage, and can change people, budgets and connections.</Trans>
      </Confirm>
      <Confirm
        title={t`Make an ordinary user`}
        verb={t`Change role`}
        open={asking?.kind === 'demote'}
        busy={change.isPending}
        onConfirm={() => asking && setRole(asking.user, 'user')}
        onClose={close}
      >
        <Trans>
          {asking?.user.name} will see only their own usage, and can no longer change people, budgets and connections.
        </Trans>
      </Confirm>
    </div>
  )
}
