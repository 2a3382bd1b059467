import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { IconBell, IconLockOpen, IconRefresh, IconWifiOff, IconX } from '@tabler/icons-react'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'wouter'
import { post } from '../api/client'
import { useLineLost } from '../api/line'
import { chatsQuery, instanceQuery, meQuery, queryClient, unseenAlertsQuery } from '../api/queries'
import { useAlertWords } from '../ui/alerts'
import { Glyph, IconButton } from '../ui/Button'
import { useErrorText } from '../ui/errors'
import { readStored, writeStored } from '../ui/storage'
import { toast } from '../ui/toasts'

const key = 'mai.plain-http-seen'

/** Alerts of budgets that no admin took note of: the newest, and how many more. */
function Alerts() {
  const { t } = useLingui()
  const errorText = useErrorText()
  const { whose, what } = useAlertWords()
  const { data: alerts } = useQuery(unseenAlertsQuery)
  const newest = alerts?.[0]
  if (!newest) return null
  const dismiss = () => {
    queryClient.setQueryData(unseenAlertsQuery.queryKey, [])
    Promise.all(alerts.map(({ id }) => post(`/notices/alerts/${id}/seen`)))
      .catch((error) => toast(errorText(error)))
      .finally(() => queryClient.invalidateQueries({ queryKey: ['notices'] }))
  }
  return (
    <div className="strip warn">
      <Glyph icon={IconBell} small />
      <span className="space">
        <b>
          <Trans>Budget alert.</Trans>
        </b>{' '}
        {whose(newest)}: {what(newest)}
        {alerts.length > 1 && (
          <>
            {' · '}
            <Plural value={alerts.length - 1} one="# more alert" other="# more alerts" />
          </>
        )}
        {' · '}
        <Link href="/settings/budgets">
          <Trans>Budgets</Trans>
        </Link>
      </span>
      <IconButton label={t`Dismiss`} icon={IconX} small onClick={dismiss} />
    </div>
  )
}

/** Standing notices above a page: alerts for an admin, that the address is not encrypted, that the workspace is being updated or the line lost. */
export function Strips() {
  const { t } = useLingui()
  const { data: instance } = useQuery(instanceQuery)
  const lost = useLineLost()
  const { data: chats } = useInfiniteQuery(chatsQuery)
  const answering = chats?.pages.some((page) => page.items.some((row) => row.running))
  const [dismissed, setDismissed] = useState(() => readStored(key, true) !== undefined)
  const dismiss = () => {
    setDismissed(true)
    writeStored(key, true, true)
  }
  const { data: me } = useQuery(meQuery)
  return (
    <>
      {instance && !instance.encrypted && !window.isSecureContext && !dismissed && (
        <div className="strip">
          <Glyph icon={IconLockOpen} small />
          <span className="space">
            <b>
              <Trans>Not encrypted.</Trans>
            </b>{' '}
            <Trans>This address uses plain HTTP; others on the network can read along.</Trans>
          </span>
          <IconButton label={t`Dismiss`} icon={IconX} small onClick={dismiss} />
        </div>
      )}
      <div role="status">
        {me?.role === 'admin' && <Alerts />}
        {instance?.updating && (
          <div className="strip">
            <Glyph icon={IconRefresh} small />
            <span>
              <Trans>The workspace is being updated. What you send now goes out on its own in a moment.</Trans>
            </span>
          </div>
        )}
        {lost && !instance?.updating && (
          <div className="strip warn">
            <Glyph icon={IconWifiOff} small />
            <span>
              {answering ? (
                <Trans>Connection lost. The answer goes on; you will see it when you are back.</Trans>
              ) : (
                <Trans>Connection lost. Trying to reconnect.</Trans>
              )}
            </span>
          </div>
        )}
      </div>
    </>
  )
}
