import { useLingui } from '@lingui/react/macro'
import { useQuery } from '@tanstack/react-query'
import { meQuery } from '../api/queries'
import type { IntentState, UsageBy } from '../api/types'
import { useTeamName } from '../ui/teams'

/** The name of a model as a column shows it: without its maker. */
export const shortModel = (id: string) => id.split('/').pop() ?? id

/** What a row, a series or a filter is called. */
export function useUsageNames(): (by: UsageBy, item: { key: string; name: string; detail?: string }) => string {
  const { t } = useLingui()
  const { data: me } = useQuery(meQuery)
  const teamName = useTeamName()
  const kinds: Record<string, string> = {
    chat: t`Chat`,
    title: t`Chat title`,
    api: t`API`,
    acceptance: t`Test by your provider`,
  }
  return (by, { key, name, detail }) => {
    switch (by) {
      case 'model':
        return shortModel(key)
      case 'team':
        return teamName({ id: key, name }) || (key === '' ? t`Your provider` : t`Unknown team`)
      case 'kind':
        return kinds[key] ?? key
      case 'key':
        if (key === 'none') return t`Without an API key`
        // Everybody's keys may have the same name.
        if (name && detail && me?.role === 'admin') return `${name}, ${detail}`
        return name || t`Key …${key.slice(-4)}`
      default:
        return name || (key === '' ? t`Your provider` : t`Deleted user`)
    }
  }
}

/** The words for what calls are told apart by. */
export function useDimensions(): Record<UsageBy, string> {
  const { t } = useLingui()
  return { user: t`User`, team: t`Team`, model: t`Model`, kind: t`Source`, key: t`API key` }
}

/** The words for the states of a call. */
export function useStates(): Record<IntentState, string> {
  const { t } = useLingui()
  return {
    created: t`Refused before sending`,
    sent: t`Sent`,
    headers: t`Accepted`,
    streaming: t`Running`,
    settled: t`Settled`,
    free: t`Free`,
    pending: t`Pending`,
    unknown: t`Unknown`,
  }
}
