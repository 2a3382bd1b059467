import { Trans } from '@lingui/react/macro'
import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useEffect } from 'react'
import './auth.css'
import { post } from '../api/client'
import { instanceQuery, meQuery, queryClient } from '../api/queries'
import { Button } from '../ui/Button'
import { AuthBrand, LanguageSwitch } from './AuthParts'

/** Shown until an admin approves the account; it opens by itself then. */
export function PendingPage() {
  const navigate = useNavigate()
  const { data: instance } = useQuery(instanceQuery)
  const { data: me } = useQuery({ ...meQuery, refetchInterval: 10_000 })
  useEffect(() => {
    if (me === null || (me && me.role !== 'pending')) void navigate({ to: '/' })
  }, [me, navigate])
  const leave = async () => {
    await post('/auths/signout').catch(() => {})
    queryClient.clear()
    await navigate({ to: '/signin' })
  }
  return (
    <div className="center-page">
      <main className="auth-form">
        <AuthBrand name={instance?.name ?? 'mAI'} />
        <h1>
          <Trans>Your account waits for approval</Trans>
        </h1>
        <p className="t2">
          <Trans>An admin has to approve it. This page opens by itself when that is done.</Trans>
        </p>
        <div>
          <Button onClick={leave}>
            <Trans>Sign out</Trans>
          </Button>
        </div>
      </main>
      <LanguageSwitch />
    </div>
  )
}
