import { Trans } from '@lingui/react/macro'
import { useQuery } from '@tanstack/react-query'
import './auth.css'
import { instanceQuery, meQuery } from '../api/queries'
import { leaveSession } from '../api/session'
import { Button } from '../ui/Button'
import { AuthBrand, LanguageSwitch } from './AuthParts'

/** Shown until an admin approves the account; it opens by itself then. */
export function PendingPage() {
  const { data: instance } = useQuery(instanceQuery)
  useQuery({ ...meQuery, refetchInterval: 10_000 })
  return (
    <div className="center-page">
      <main className="auth-form" id="main">
        <AuthBrand name={instance?.name ?? 'mAI'} />
        <h1>
          <Trans>Your account waits for approval</Trans>
        </h1>
        <p className="t2">
          <Trans>An admin has to approve it. This page opens by itself when that is done.</Trans>
        </p>
        <div>
          <Button onClick={leaveSession}>
            <Trans>Sign out</Trans>
          </Button>
        </div>
      </main>
      <LanguageSwitch />
    </div>
  )
}
