import { Trans, useLingui } from '@lingui/react/macro'
import { IconCheck, IconX } from '@tabler/icons-react'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useEffect, useRef } from 'react'
import { Link } from 'wouter'
import './guide.css'
import { chatsQuery, usersQuery } from '../api/queries'
import { Glyph, IconButton } from '../ui/Button'
import { toast } from '../ui/toasts'

interface Props {
  connected: boolean
  /** Puts it away; it can be brought back from the person's menu. */
  onHide: () => void
  /** Nothing is left to do. */
  onDone: () => void
}

/** Leads the first admin from the account to the first answer. What is done is read from the workspace itself. */
export function Guide({ connected, onHide, onDone }: Props) {
  const { t } = useLingui()
  const { data: users } = useQuery(usersQuery)
  const { data: chats } = useInfiniteQuery(chatsQuery)
  const known = users !== undefined && chats !== undefined
  const steps = [
    { name: t`Create account`, href: '/settings/profile', done: true },
    { name: t`Connect the models`, href: '/settings/connections', done: connected },
    { name: t`Add colleagues`, href: '/settings/users', done: (users?.length ?? 0) > 1 },
    { name: t`Ask the first question`, href: '/', done: (chats?.pages[0]?.items.length ?? 0) > 0 },
  ]
  const next = steps.findIndex((step) => !step.done)
  const finished = known && next < 0
  const seen = useRef(false)
  useEffect(() => {
    if (known && !finished) seen.current = true
    if (!finished) return
    if (seen.current) toast(t`Everything is set up.`)
    onDone()
  }, [known, finished, onDone, t])
  if (!known || finished) return null
  const at = next + 1
  return (
    <section className="guide" aria-labelledby="guide-title">
      <h2 id="guide-title">
        <Trans>Getting started</Trans>
      </h2>
      <ol>
        {steps.map((step, i) => (
          <li key={step.href} className={step.done ? 'done' : undefined} aria-current={i === next ? 'step' : undefined}>
            <span className="step" aria-hidden="true">
              {step.done ? <Glyph icon={IconCheck} small /> : i + 1}
            </span>
            {step.done ? (
              <span>
                {step.name}
                <span className="hidden-visually">
                  , <Trans>done</Trans>
                </span>
              </span>
            ) : (
              <Link href={step.href}>{step.name}</Link>
            )}
            {i === next && (
              <span className="mobile-only xs t3">
                <Trans>
                  Step {at} of {steps.length}
                </Trans>
              </span>
            )}
          </li>
        ))}
      </ol>
      <span role="status" className="hidden-visually">
        <Trans>
          Step {at} of {steps.length}: {steps[next]?.name}
        </Trans>
      </span>
      <IconButton
        label={t`Hide the guide`}
        icon={IconX}
        small
        onClick={() => {
          onHide()
          document.getElementById('main')?.focus()
        }}
      />
    </section>
  )
}
