import { Trans } from '@lingui/react/macro'
import { Component, type ReactNode } from 'react'
import { Link } from 'wouter'
import { Button } from '../ui/Button'
import { useErrorText } from '../ui/errors'

export function NotFound() {
  return (
    <div className="center-page">
      <div style={{ display: 'grid', gap: 12, maxWidth: 384 }}>
        <h1>
          <Trans>There is no such page</Trans>
        </h1>
        <p className="t2">
          <Trans>The address may be mistyped, or the page was removed.</Trans>
        </p>
        <div>
          <Link href="/" className="btn">
            <Trans>Back to chat</Trans>
          </Link>
        </div>
      </div>
    </div>
  )
}

/** A page that could not be loaded: its script, or the data it starts with. */
export function LoadFailed({ error }: { error: unknown }) {
  const errorText = useErrorText()
  return (
    <div className="center-page">
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
    </div>
  )
}

/** Keeps a broken page from taking the frame around it along. */
export class PageBoundary extends Component<{ children: ReactNode }, { error: unknown }> {
  override state = { error: undefined as unknown }

  static getDerivedStateFromError(error: unknown) {
    return { error }
  }

  override render() {
    return this.state.error ? <LoadFailed error={this.state.error} /> : this.props.children
  }
}
