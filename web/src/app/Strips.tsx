import { Trans, useLingui } from '@lingui/react/macro'
import { IconLockOpen, IconWifiOff, IconX } from '@tabler/icons-react'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useLineLost } from '../api/line'
import { chatsQuery, instanceQuery } from '../api/queries'
import { Glyph, IconButton } from '../ui/Button'

const key = 'mai.plain-http-seen'

function wasDismissed(): boolean {
  try {
    return sessionStorage.getItem(key) !== null
  } catch {
    return false
  }
}

/** Standing notices above a page: that the address is not encrypted, and that the line is lost. */
export function Strips() {
  const { t } = useLingui()
  const { data: instance } = useQuery(instanceQuery)
  const lost = useLineLost()
  const { data: chats } = useInfiniteQuery(chatsQuery)
  const answering = chats?.pages.some((page) => page.items.some((row) => row.running))
  const [dismissed, setDismissed] = useState(wasDismissed)
  const dismiss = () => {
    setDismissed(true)
    try {
      sessionStorage.setItem(key, '1')
    } catch {
      // Then it comes back with the next page.
    }
  }
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
        {lost && (
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
