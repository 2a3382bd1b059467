import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { IconCheck, IconPencil, IconPlus, IconTrash, IconX } from '@tabler/icons-react'
import { useMutation, useQuery } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { del, patch, post } from '../api/client'
import { queryClient, teamsQuery, usersQuery } from '../api/queries'
import type { Team, User } from '../api/types'
import { Button, IconButton } from '../ui/Button'
import { Dialog, FormDialog } from '../ui/Dialog'
import { useErrorText } from '../ui/errors'
import { SelectField } from '../ui/Field'
import { Note } from '../ui/Note'
import { everyone, useTeamName, useTeamOptions } from '../ui/teams'

const refresh = () => queryClient.invalidateQueries(teamsQuery)

/** Moves a person to another team. */
export function MoveToTeam({ user, onClose }: { user: User; onClose: () => void }) {
  const { t } = useLingui()
  const errorText = useErrorText()
  const options = useTeamOptions()
  const { data: teams } = useQuery(teamsQuery)
  const [team, setTeam] = useState(user.team_id)
  const move = useMutation({
    mutationFn: () => patch<User>(`/users/${user.id}`, { team_id: team }),
    onSuccess: () => {
      queryClient.setQueryData(usersQuery.queryKey, (all) =>
        all?.map((u) => (u.id === user.id ? { ...u, team_id: team } : u)),
      )
      void refresh()
      onClose()
    },
  })
  return (
    <FormDialog
      title={t`Move ${user.name}`}
      verb={t`Move`}
      open
      busy={move.isPending || team === user.team_id}
      error={move.error ? errorText(move.error) : null}
      onSubmit={() => move.mutate()}
      onClose={onClose}
    >
      <SelectField label={t`Team`} value={team} onChange={setTeam} options={options(teams ?? [])} />
      <p className="sm t2">
        <Trans>What is spent from now on counts for this team. What was spent stays where it is.</Trans>
      </p>
    </FormDialog>
  )
}

function TeamName(props: { label: string; value: string; onChange: (value: string) => void }) {
  return (
    <div className="input">
      <input
        aria-label={props.label}
        placeholder={props.label}
        autoComplete="off"
        value={props.value}
        onChange={(e) => props.onChange(e.target.value)}
      />
    </div>
  )
}

function TeamRow({ team, onError }: { team: Team; onError: (error: Error | null) => void }) {
  const { t } = useLingui()
  const teamName = useTeamName()
  const [name, setName] = useState<string | null>(null)
  const outcome = {
    onMutate: () => onError(null),
    onError,
    onSuccess: () => {
      setName(null)
      void refresh()
    },
  }
  const rename = useMutation({ mutationFn: (name: string) => patch<Team>(`/teams/${team.id}`, { name }), ...outcome })
  const remove = useMutation({ mutationFn: () => del<void>(`/teams/${team.id}`), ...outcome })
  if (name !== null) {
    const submit = (e: FormEvent) => {
      e.preventDefault()
      if (name.trim() && !rename.isPending) rename.mutate(name.trim())
    }
    return (
      <li>
        <form className="row team-row" onSubmit={submit}>
          <TeamName label={t`Name of the team`} value={name} onChange={setName} />
          <IconButton label={t`Save`} icon={IconCheck} type="submit" disabled={!name.trim()} />
          <IconButton label={t`Cancel`} icon={IconX} onClick={() => setName(null)} />
        </form>
      </li>
    )
  }
  return (
    <li className="row team-row">
      <div className="space ellipsis strong">{teamName(team)}</div>
      <span className="sm t3 tn">
        <Plural value={team.people} one="# person" other="# people" />
      </span>
      {team.id === everyone ? (
        <span className="team-actions" />
      ) : (
        <div className="team-actions">
          <IconButton label={t`Rename ${team.name}`} icon={IconPencil} small onClick={() => setName(team.name)} />
          <IconButton
            label={team.people > 0 ? t`${team.name} has people and cannot be deleted` : t`Delete ${team.name}`}
            icon={IconTrash}
            small
            disabled={team.people > 0 || remove.isPending}
            onClick={() => remove.mutate()}
          />
        </div>
      )}
    </li>
  )
}

/** The list of teams, where they are added, renamed and deleted. */
export function ManageTeams({ open, onClose }: { open: boolean; onClose: () => void }) {
  return open ? <Teams onClose={onClose} /> : null
}

function Teams({ onClose }: { onClose: () => void }) {
  const { t } = useLingui()
  const errorText = useErrorText()
  const { data: teams } = useQuery(teamsQuery)
  const [name, setName] = useState('')
  const [error, setError] = useState<Error | null>(null)
  const add = useMutation({
    mutationFn: () => post<Team>('/teams', { name: name.trim() }),
    onMutate: () => setError(null),
    onError: setError,
    onSuccess: () => {
      setName('')
      void refresh()
    },
  })
  const submit = (e: FormEvent) => {
    e.preventDefault()
    if (name.trim() && !add.isPending) add.mutate()
  }
  return (
    <Dialog title={t`Teams`} open onClose={onClose}>
      <div className="stack">
        <p className="sm t2">
          <Trans>Everybody is in exactly one team, so that usage by team adds up. An empty team can be deleted.</Trans>
        </p>
        <ul className="teams">
          {teams?.map((team) => (
            <TeamRow key={team.id} team={team} onError={setError} />
          ))}
        </ul>
        <form className="row" onSubmit={submit}>
          <TeamName label={t`New team`} value={name} onChange={setName} />
          <Button type="submit" icon={IconPlus} disabled={!name.trim() || add.isPending}>
            <Trans>Add</Trans>
          </Button>
        </form>
        {error && <Note tone="bad">{errorText(error)}</Note>}
        <div className="dialog-actions" style={{ marginTop: 4 }}>
          <Button look="primary" onClick={onClose}>
            <Trans>Done</Trans>
          </Button>
        </div>
      </div>
    </Dialog>
  )
}
