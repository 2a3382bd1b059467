import { Trans } from '@lingui/react/macro'
import { Link } from '@tanstack/react-router'
import { Button } from '../ui/Button'
import { useErrorText } from '../ui/errors'

export function NotFound() {
  return (
    <main className="center-page">
      <div style={{ display: 'grid', gap: 12, maxWidth: 384 }}>
        <h1>
          <Trans>There is no such page</Trans>
        </h1>
        <p className="t2">
          <Trans>The address may be mistyped, or the page was removed.</Trans>
        </p>
        <div>
          <Link to="/" className="btn">
            <Trans>Back to chat</Trans>
          </Link>
        </div>
      </div>
    </main>
  )
}

/** A page that could not be loaded: its script, or the data it starts with. */
export function LoadFailed({ error }: { error: unknown }) {
  const errorText = useErrorText()
  return (
    <main className="center-page">
      <div style={{ display: 'grid', gap: 12, maxWidth: 420 }}>
        <h1>
          <Trans>This page could not be loaded</Trans>
        </h1>
        <p className="t2">{errorText(error)}</p>
        <div>
          <Button look="primary" onClick={() => location.reload()}>
            <Trans>Reload</Trans>
          </Button>
        </div>
      </div>
    </main>
  )
}
