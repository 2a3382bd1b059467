import { useLingui } from '@lingui/react'
import { Trans } from '@lingui/react/macro'
import { IconLockOpen } from '@tabler/icons-react'
import type { Instance, Locale } from '../api/types'
import { chooseLocale } from '../ui/i18n'
import { Logo } from '../ui/Logo'
import { Note } from '../ui/Note'

export function AuthBrand({ name }: { name: string }) {
  return (
    <div className="auth-brand">
      <Logo />
      {name}
    </div>
  )
}

/** The quiet switch of language for people without an account page. */
export function LanguageSwitch() {
  const { i18n } = useLingui()
  const other: Locale = i18n.locale === 'pl' ? 'en' : 'pl'
  return (
    <button type="button" className="auth-language link-btn" lang={other} onClick={() => chooseLocale(other)}>
      {other === 'pl' ? 'Polski' : 'English'}
    </button>
  )
}

export function EncryptionNote({ instance }: { instance: Instance }) {
  if (instance.encrypted || window.isSecureContext) return null
  return (
    <Note tone="warn" icon={IconLockOpen} title={<Trans>Not encrypted yet.</Trans>}>
      <Trans>This address uses plain HTTP. Add a domain before you invite others.</Trans>
    </Note>
  )
}

export const validEmail = (text: string) => /^[^\s@]+@[^\s@]+$/.test(text.trim())

/** The shortest password that is accepted. */
export const shortestPassword = 8
