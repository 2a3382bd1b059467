import { Trans } from '@lingui/react/macro'
import { Button } from './Button'
import { useErrorText } from './errors'
import { Note } from './Note'

/** In place of a part of a page that could not be loaded. */
export function LoadError({ error, onRetry }: { error: unknown; onRetry: () => void }) {
  const errorText = useErrorText()
  return (
    <Note tone="bad">
      <div className="row">
        <span className="space">{errorText(error)}</span>
        <Button size="small" onClick={onRetry}>
          <Trans>Retry</Trans>
        </Button>
      </div>
    </Note>
  )
}

/** Cards in the shape of what is on its way, for the first load of a page only. Nothing is seen of a quick one. */
export function CardSkeleton({ heights }: { heights: number[] }) {
  return (
    <div className="card-skeleton" aria-hidden="true">
      {heights.map((height, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the cards never move
        <span key={i} className="skeleton" style={{ height }} />
      ))}
    </div>
  )
}
