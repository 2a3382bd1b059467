import { Trans, useLingui } from '@lingui/react/macro'
import { IconCheck, IconCopy, IconRefresh } from '@tabler/icons-react'
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { del, patch, post } from '../api/client'
import { queryClient, teamsQuery, usersQuery } from '../api/queries'
import type { Role, User } from '../api/types'
import { Button, IconButton } from '../ui/Button'
import { CopyButton } from '../ui/CopyButton'
import { copyText } from '../ui/clipboard'
import { Dialog, FormDialog } from '../ui/Dialog'
import { useErrorText } from '../ui/errors'
import { Field, Segmented, SelectField } from '../ui/Field'
import { Note } from '../ui/Note'
import { everyone, useTeamOptions } from '../ui/teams'

const shortestPassword = 8

/** A password that can be read out: four groups without letters that look alike. About 93 bits. */
export function newPassword(): string {
  const letters = 'abcdefghjkmnpqrstuvwxyz23456789'
  const pick = () => {
    for (;;) {
      const n = crypto.getRandomValues(new Uint8Array(1))[0] as number
      // Only whole multiples, so that no letter is likelier than another.
      if (n < 248) return letters.charAt(n % letters.length)
    }
  }
  return Array.from({ length: 4 }, () => Array.from({ length: 5 }, pick).join(''))
    .join('-')
    .slice(0, 23)
}

function PasswordOnce(props: { value: string; onChange: (value: string) => void; error: string | null }) {
  const { t } = useLingui()
  return (
    <Field
      label={t`Password`}
      mono
      autoComplete="off"
      spellCheck={false}
      value={props.value}
      onChange={(e) => props.onChange(e.target.value)}
      error={props.error}
      help={t`Hand it over yourself. It can be changed under Profile.`}
      inside={
        <>
          <IconButton
            label={t`Another password`}
            icon={IconRefresh}
            small
            onClick={() => props.onChange(newPassword())}
          />
          <CopyButton text={props.value} label={t`Copy password`} />
        </>
      }
    />
  )
}

function useShort(password: string, tried: boolean): string | null {
  const { t } = useLingui()
  return tried && password.length < shortestPassword ? t`Use at least ${shortestPassword} characters.` : null
}

/** Everything the new person needs, as one text to send. */
function CopyMessage({ text }: { text: string }) {
  const [copied, setCopied] = useState(false)
  return (
    <Button icon={copied ? IconCheck : IconCopy} onClick={async () => setCopied(await copyText(text))}>
      {copied ? <Trans>Copied</Trans> : <Trans>Copy message</Trans>}
    </Button>
  )
}

export function AddPerson({ open, onClose }: { open: boolean; onClose: () => void }) {
  return open ? <AddPersonForm onClose={onClose} /> : null
}

function AddPersonForm({ onClose }: { onClose: () => void }) {
  const { t } = useLingui()
  const errorText = useErrorText()
  const [form, setForm] = useState(() => ({
    name: '',
    email: '',
    password: newPassword(),
    role: 'user' as Role,
    team_id: everyone,
  }))
  const [tried, setTried] = useState(false)
  const { data: teams } = useQuery(teamsQuery)
  const teamOptions = useTeamOptions()
  const short = useShort(form.password, tried)
  const add = useMutation({
    mutationFn: () => post<User>('/users', { ...form, name: form.name.trim(), email: form.email.trim() }),
    onSuccess: (user) => {
      queryClient.setQueryData(usersQuery.queryKey, (all) => [...(all ?? []), user])
      void queryClient.invalidateQueries(teamsQuery)
    },
  })
  const badName = tried && !form.name.trim() ? t`Enter a name.` : null
  const badEmail = tried && !/^[^\s@]+@[^\s@]+$/.test(form.email.trim()) ? t`Enter an e-mail address.` : null
  const submit = () => {
    setTried(true)
    if (form.name.trim() && /^[^\s@]+@[^\s@]+$/.test(form.email.trim()) && form.password.length >= shortestPassword)
      add.mutate()
  }
  const address = location.origin
  if (add.data) {
    return (
      <Dialog title={t`Person added`} open onClose={onClose}>
        <div className="stack">
          <Note tone="good">
            <Trans>
              {add.data.name} can sign in now, with the e-mail {add.data.email} and this password.
            </Trans>
          </Note>
          <Field
            label={t`Password`}
            mono
            readOnly
            value={form.password}
            inside={<CopyButton text={form.password} label={t`Copy password`} />}
            help={t`It is shown only now. If it is lost, reset it.`}
          />
          <div className="dialog-actions" style={{ marginTop: 4 }}>
            <CopyMessage
              text={t`You have an account in our AI workspace.\nAddress: ${address}\nE-mail: ${add.data.email}\nPassword: ${form.password}\nYou can change the password under Settings → Profile.`}
            />
            <Button look="primary" onClick={onClose}>
              <Trans>Done</Trans>
            </Button>
          </div>
        </div>
      </Dialog>
    )
  }
  return (
    <FormDialog
      title={t`Add person`}
      verb={t`Add`}
      open
      busy={add.isPending}
      error={add.error ? errorText(add.error) : null}
      onSubmit={submit}
      onClose={onClose}
    >
      <Field
        label={t`Name`}
        data-autofocus
        autoComplete="off"
        value={form.name}
        onChange={(e) => setForm({ ...form, name: e.target.value })}
        error={badName}
      />
      <Field
        label={t`Work e-mail`}
        type="email"
        autoComplete="off"
        value={form.email}
        onChange={(e) => setForm({ ...form, email: e.target.value })}
        error={badEmail}
      />
      <PasswordOnce value={form.password} onChange={(password) => setForm({ ...form, password })} error={short} />
      <div className="field">
        <div className="field-label">
          <Trans>Role</Trans>
        </div>
        <Segmented<Role>
          label={t`Role`}
          value={form.role}
          onChange={(role) => setForm({ ...form, role })}
          options={[
            { value: 'user', label: t`User` },
            { value: 'admin', label: t`Admin` },
          ]}
        />
      </div>
      {teams && teams.length > 1 && (
        <SelectField
          label={t`Team`}
          value={form.team_id}
          onChange={(team_id) => setForm({ ...form, team_id })}
          options={teamOptions(teams)}
        />
      )}
    </FormDialog>
  )
}

export function ResetPassword({ user, onClose }: { user: User; onClose: () => void }) {
  const { t } = useLingui()
  const errorText = useErrorText()
  const [password, setPassword] = useState(newPassword)
  const [tried, setTried] = useState(false)
  const short = useShort(password, tried)
  const reset = useMutation({
    mutationFn: () => post<void>(`/users/${user.id}/password`, { password }),
    onSuccess: onClose,
  })
  return (
    <FormDialog
      title={t`Reset password`}
      verb={t`Reset`}
      open
      busy={reset.isPending}
      error={reset.error ? errorText(reset.error) : null}
      onSubmit={() => {
        setTried(true)
        if (password.length >= shortestPassword) reset.mutate()
      }}
      onClose={onClose}
    >
      <p className="t2">
        <Trans>Copy the new password first. {user.name} is signed out everywhere.</Trans>
      </p>
      <PasswordOnce value={password} onChange={setPassword} error={short} />
    </FormDialog>
  )
}

/** Asks for the e-mail, so that nobody is erased by a slip. */
export function ErasePerson({ user, onClose }: { user: User; onClose: () => void }) {
  const { t } = useLingui()
  const errorText = useErrorText()
  const [email, setEmail] = useState('')
  const erase = useMutation({
    mutationFn: () => del(`/users/${user.id}`),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: usersQuery.queryKey })
      onClose()
    },
  })
  return (
    <FormDialog
      title={t`Erase person`}
      verb={t`Erase`}
      danger
      open
      busy={erase.isPending || email.trim().toLowerCase() !== user.email}
      error={erase.error ? errorText(erase.error) : null}
      onSubmit={() => erase.mutate()}
      onClose={onClose}
    >
      <p className="t2">
        <Trans>
          {user.name}’s account, chats, API keys and sessions are deleted for good. What they spent stays in the books
          without a name, so that all sums still add up. To keep the chats, disable the account instead.
        </Trans>
      </p>
      <Field
        label={t`Type ${user.email} to confirm`}
        data-autofocus
        autoComplete="off"
        spellCheck={false}
        value={email}
        onChange={(e) => setEmail(e.target.value)}
      />
    </FormDialog>
  )
}

export function RenamePerson({ user, onClose }: { user: User; onClose: () => void }) {
  const { t } = useLingui()
  const errorText = useErrorText()
  const [name, setName] = useState(user.name)
  const rename = useMutation({
    mutationFn: () => patch<User>(`/users/${user.id}`, { name: name.trim() }),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: usersQuery.queryKey })
      onClose()
    },
  })
  return (
    <FormDialog
      title={t`Rename`}
      verb={t`Rename`}
      open
      busy={rename.isPending || !name.trim()}
      error={rename.error ? errorText(rename.error) : null}
      onSubmit={() => rename.mutate()}
      onClose={onClose}
    >
      <Field label={t`Name`} data-autofocus value={name} onChange={(e) => setName(e.target.value)} />
    </FormDialog>
  )
}
