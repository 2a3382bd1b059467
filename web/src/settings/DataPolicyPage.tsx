import { Trans, useLingui } from '@lingui/react/macro'
import { IconAlertTriangle, IconCheck, IconMinus } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import './settings.css'
import { meQuery, policyQuery } from '../api/queries'
import type { DataPolicy, Provider } from '../api/types'
import { Glyph } from '../ui/Button'
import { useErrorText } from '../ui/errors'
import { useFormat } from '../ui/format'
import { Note } from '../ui/Note'
import { useRegionName } from '../ui/regions'
import { usePageTitle } from '../ui/title'
import { RetentionCard } from './RetentionCard'

const icons = { kept: IconCheck, open: IconMinus, risk: IconAlertTriangle }

/** One thing that a provider must promise, or need not. */
function Condition({ state, title, children }: { state: keyof typeof icons; title: ReactNode; children: ReactNode }) {
  return (
    <li className={state}>
      <Glyph icon={icons[state]} />
      <div>
        <b>{title}</b>
        <p>{children}</p>
      </div>
    </li>
  )
}

function Promises({ policy }: { policy: DataPolicy }) {
  const { i18n } = useLingui()
  const region = useRegionName()
  const list = (items: string[]) => new Intl.ListFormat(i18n.locale).format(items)
  const seat = (p: Provider) => (p.headquarters ? `${p.name} (${region(p.headquarters)})` : p.name)
  const places = list(policy.regions.map(region))
  return (
    <ul className="promises">
      {policy.no_training ? (
        <Condition state="kept" title={<Trans>Not used for training</Trans>}>
          <Trans>What you write goes only to providers that neither train models on it nor keep it for that.</Trans>
        </Condition>
      ) : (
        <Condition state="risk" title={<Trans>May be used for training</Trans>}>
          <Trans>Providers may train models on what you write. Write nothing here that must stay in the company.</Trans>
        </Condition>
      )}
      {policy.zero_retention ? (
        <Condition state="kept" title={<Trans>Not kept by providers</Trans>}>
          <Trans>Only offers are used that keep nothing of your messages once the answer is sent.</Trans>
        </Condition>
      ) : (
        <Condition state="open" title={<Trans>May be kept for a while</Trans>}>
          <Trans>A provider may keep your messages for some time, for example to look into abuse.</Trans>
        </Condition>
      )}
      {policy.regions.length > 0 ? (
        <Condition state="kept" title={<Trans>Processed only in: {places}</Trans>}>
          <Trans>
            Only providers whose data centres are all there are used. A provider's company may sit elsewhere; it is
            named below.
          </Trans>
        </Condition>
      ) : (
        <Condition state="open" title={<Trans>Processed in any country</Trans>}>
          <Trans>The data centre that answers may be anywhere in the world.</Trans>
        </Condition>
      )}
      {policy.allowed.length > 0 ? (
        <Condition state="kept" title={<Trans>Only these providers</Trans>}>
          {list(policy.allowed.map(seat))}
        </Condition>
      ) : (
        <Condition state="open" title={<Trans>Any provider at OpenRouter</Trans>}>
          <Trans>Whoever fulfils the conditions above and offers the model you choose.</Trans>
        </Condition>
      )}
    </ul>
  )
}

/** What happens to what a person writes here, in plain words. Everybody can read it. */
export function DataPolicyPage() {
  const { t } = useLingui()
  const f = useFormat()
  const errorText = useErrorText()
  const { data: policy, error } = useQuery(policyQuery)
  const { data: me } = useQuery(meQuery)
  usePageTitle(t`Data policy`)
  return (
    <div className="wrap narrow">
      <div className="head">
        <div>
          <h1>
            <Trans>Data policy</Trans>
          </h1>
          <p>
            <Trans>What happens to what you write here.</Trans>{' '}
            {policy?.changed_at && <Trans>As of {f.longDate(policy.changed_at)}.</Trans>}
          </p>
        </div>
      </div>
      {error && !policy && <Note tone="bad">{errorText(error)}</Note>}
      {policy && (
        <section className="card panel">
          <h2>
            <Trans>What your company asks of every provider</Trans>
          </h2>
          <Promises policy={policy} />
          {me?.role === 'admin' && (
            <Link href="/settings/connections" className="sm">
              <Trans>Change the policy</Trans>
            </Link>
          )}
        </section>
      )}
      <RetentionCard admin={me?.role === 'admin'} />
      <section className="card panel">
        <h2>
          <Trans>Where a message goes</Trans>
        </h2>
        <ol className="way">
          <li>
            <Trans>Your chats are stored on the server of this workspace. Other people in it do not see them.</Trans>
          </li>
          <li>
            <Trans>
              To get an answer, the chat so far goes to OpenRouter, a company in the USA. It learns no name and no
              e-mail of yours, only a random code that stands for you.
            </Trans>
          </li>
          <li>
            <Trans>
              OpenRouter passes it on to a provider that runs the model and fulfils the conditions above. When there is
              none, you get a message instead of an answer, and nothing is passed on.
            </Trans>
          </li>
        </ol>
        <p className="sm t3">
          <Trans>
            The same holds for the title of a chat and for what you send with your API key. OpenRouter and the providers
            are bound by their own terms; nobody here can check from outside what happens inside theirs.
          </Trans>
        </p>
      </section>
    </div>
  )
}
