import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { IconCheck } from '@tabler/icons-react'
import { useState } from 'react'
import type { Charge } from '../api/types'
import { Glyph } from '../ui/Button'
import { CopyButton } from '../ui/CopyButton'
import { useFormat } from '../ui/format'
import { ExactMoney } from '../ui/Money'
import { PopoverSheet } from '../ui/PopoverSheet'

function StateBadge({ state }: { state: Charge['state'] }) {
  switch (state) {
    case 'settled':
      return (
        <span className="badge good">
          <Glyph icon={IconCheck} small />
          <Trans>Settled</Trans>
        </span>
      )
    case 'free':
      return (
        <span className="badge good">
          <Glyph icon={IconCheck} small />
          <Trans>Free</Trans>
        </span>
      )
    case 'pending':
      return (
        <span className="badge warn">
          <Trans>Pending</Trans>
        </span>
      )
    case 'unknown':
      return (
        <span className="badge warn">
          <Trans>Unknown</Trans>
        </span>
      )
    default:
      return (
        <span className="badge">
          <Trans>Running</Trans>
        </span>
      )
  }
}

function Explanation({ state }: { state: Charge['state'] }) {
  if (state === 'pending') return <Trans>OpenRouter has not told the cost yet. We ask again for up to 48 hours.</Trans>
  if (state === 'unknown') return <Trans>OpenRouter never told the cost. It is not billed.</Trans>
  if (state === 'free') return <Trans>OpenRouter took nothing for this answer.</Trans>
  return null
}

function Tokens({ count }: { count: number }) {
  const f = useFormat()
  const shown = f.tokens(count)
  return (
    <span>
      <Plural value={count} one={`${shown} token`} other={`${shown} tokens`} />
    </span>
  )
}

/** The charge of an answer as a button; it opens the exact amount and what it is made of. */
export function ChargeButton({ charge }: { charge: Charge }) {
  const { t } = useLingui()
  const f = useFormat()
  const [open, setOpen] = useState(false)
  const atMost = charge.at_most ? `≤ ${f.money(charge.at_most)}` : '—'
  const short = charge.amount !== null ? f.money(charge.amount) : charge.state === 'free' ? f.money('0') : atMost
  const answer = Math.max(0, charge.completion_tokens - charge.reasoning_tokens)
  return (
    <PopoverSheet
      label={t`Charge`}
      open={open}
      onOpen={setOpen}
      width={308}
      position="bottom-end"
      target={
        <button
          type="button"
          className="charge-btn"
          aria-label={t`Charge: ${short}`}
          aria-haspopup="dialog"
          aria-expanded={open}
          onClick={() => setOpen(!open)}
        >
          {short}
        </button>
      }
    >
      <div className="row">
        <span className="sm t2 space">
          <Trans>Charge</Trans>
        </span>
        <StateBadge state={charge.state} />
      </div>
      <div className="charge-amount tn">
        {charge.amount !== null || charge.state === 'free' ? (
          <ExactMoney amount={charge.amount ?? '0'} weight={450} />
        ) : (
          atMost
        )}
      </div>
      <p className="xs t3">
        <Explanation state={charge.state} />
      </p>
      <div className="kv">
        <span>
          <Trans>Input</Trans>
        </span>
        <Tokens count={charge.prompt_tokens} />
      </div>
      {charge.cached_tokens > 0 && (
        <div className="kv">
          <span>
            <Trans>of it from the cache</Trans>
          </span>
          <Tokens count={charge.cached_tokens} />
        </div>
      )}
      {charge.reasoning_tokens > 0 && (
        <div className="kv">
          <span>
            <Trans>Reasoning</Trans>
          </span>
          <Tokens count={charge.reasoning_tokens} />
        </div>
      )}
      <div className="kv">
        <span>
          <Trans>Answer</Trans>
        </span>
        <Tokens count={answer} />
      </div>
      {charge.generation_id && (
        <div className="row" style={{ borderTop: '1px solid var(--line)', marginTop: 6, paddingTop: 6 }}>
          <span className="mono gen-id space">{charge.generation_id}</span>
          <CopyButton text={charge.generation_id} label={t`Copy generation id`} />
        </div>
      )}
    </PopoverSheet>
  )
}
