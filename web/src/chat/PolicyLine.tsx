import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { useQuery } from '@tanstack/react-query'
import { Link } from 'wouter'
import { policyQuery, retentionQuery } from '../api/queries'
import { useRegionName } from '../ui/regions'

/** The quiet line under the composer: what the data policy means for what is typed above it. */
export function PolicyLine() {
  const { t, i18n } = useLingui()
  const region = useRegionName()
  const { data: policy } = useQuery(policyQuery)
  const { data: retention } = useQuery(retentionQuery)
  if (!policy) return <p className="composer-hint">{'\u00a0'}</p>
  const places = new Intl.ListFormat(i18n.locale, { type: 'unit', style: 'short' }).format(policy.regions.map(region))
  const more = [
    policy.zero_retention && t`not kept by providers`,
    policy.regions.length > 0 && t`processed only in: ${places}`,
    policy.providers.length > 0 && t`only chosen providers`,
  ].filter(Boolean)
  return (
    <p className="composer-hint">
      {policy.no_training ? <Trans>Not used for training</Trans> : <Trans>May be used for training</Trans>}
      <span className="desktop-only">{more.map((text) => ` · ${text}`)}</span>
      {retention?.days && (
        <>
          {' · '}
          <Plural value={retention.days} one="deleted after # day" other="deleted after # days" />
        </>
      )}{' '}
      ·{' '}
      <Link href="/settings/data-policy">
        <Trans>Data policy</Trans>
      </Link>
    </p>
  )
}
