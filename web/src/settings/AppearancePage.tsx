import { Trans, useLingui } from '@lingui/react/macro'
import { Segmented } from '../ui/Field'
import { type Scheme, useScheme } from '../ui/scheme'
import { usePageTitle } from '../ui/title'

export function AppearancePage() {
  const { t } = useLingui()
  const [scheme, setScheme] = useScheme()
  usePageTitle(t`Appearance`)
  return (
    <div className="wrap narrow">
      <div className="head">
        <div>
          <h1>
            <Trans>Appearance</Trans>
          </h1>
          <p>
            <Trans>Kept in this browser.</Trans>
          </p>
        </div>
      </div>
      <section className="card panel">
        <h2 style={{ marginBottom: 12 }}>
          <Trans>Colours</Trans>
        </h2>
        <Segmented<Scheme>
          label={t`Colours`}
          value={scheme}
          onChange={setScheme}
          options={[
            { value: 'light', label: t`Light` },
            { value: 'dark', label: t`Dark` },
            { value: 'auto', label: t`Same as system` },
          ]}
        />
      </section>
    </div>
  )
}
