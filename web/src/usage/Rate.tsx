import { Trans } from '@lingui/react/macro'
import { useQuery } from '@tanstack/react-query'
import { usageRateQuery, usageSettingsQuery } from '../api/queries'
import type { UsageRate } from '../api/types'
import { useFormat } from '../ui/format'
import { query, type Shown } from './filters'

function useRateReply(shown: Shown) {
  const { month, from, to } = shown.filters
  const settings = useQuery(usageSettingsQuery)
  const wanted = settings.data?.currency ?? ''
  const reply = useQuery({ ...usageRateQuery(query({ month, from, to })), enabled: wanted !== '' })
  return { wanted, reply: reply.data }
}

/** The rate at which amounts are also shown, null when they are in USD only. */
export function useRate(shown: Shown): UsageRate | null {
  const { wanted, reply } = useRateReply(shown)
  return wanted !== '' && reply?.rate?.currency === wanted ? reply.rate : null
}

/** Where the rate is from, or that there is none. */
export function RateNote({ shown }: { shown: Shown }) {
  const f = useFormat()
  const { wanted, reply } = useRateReply(shown)
  if (wanted === '' || !reply) return null
  const { rate } = reply
  const number = (text: string) => (f.locale === 'pl' ? text.replace('.', ',') : text)
  if (!rate || rate.currency !== wanted) {
    return (
      <p className="xs t3 below">
        <Trans>
          No rate for {wanted} could be had for {f.longDate(`${reply.day}T12:00:00`)}, so amounts are in USD only.
        </Trans>
      </p>
    )
  }
  const day = f.longDate(`${rate.published}T12:00:00`)
  return (
    <p className="xs t3 below">
      {rate.currency === 'PLN' ? (
        <Trans>
          1 USD = {number(rate.units)} PLN, NBP table {rate.table} of {day}. You are charged in USD.
        </Trans>
      ) : (
        <Trans>
          1 EUR = {number(rate.usd)} USD, reference rate of the ECB of {day}. You are charged in USD.
        </Trans>
      )}
    </p>
  )
}
