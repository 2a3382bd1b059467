import { Trans, useLingui } from '@lingui/react/macro'
import { IconCircleCheck } from '@tabler/icons-react'
import type { Verification } from '../api/types'
import { Glyph } from '../ui/Button'
import { useFormat } from '../ui/format'
import { Note } from '../ui/Note'

/** What verifying a key showed: its limits when it works, and what is wrong when it does not. */
export function VerifyResult({ result, at }: { result: Verification; at: Date }) {
  const { t } = useLingui()
  const f = useFormat()
  const [, title, more] = /^(.+?\.)(?:\s+(.*))?$/s.exec(result.message) ?? []
  if (!result.ok) {
    return (
      <Note tone="bad" title={title ?? result.message}>
        {more && `${more} `}
        <Trans>Nothing was saved.</Trans>
        {result.reply && (
          <details>
            <summary>
              <Trans>Reply from OpenRouter</Trans>
            </summary>
            <pre>{result.reply}</pre>
          </details>
        )}
      </Note>
    )
  }
  const period: Record<string, string> = { daily: t`Daily limit`, weekly: t`Weekly limit`, monthly: t`Monthly limit` }
  return (
    <div className="note good verified" role="status">
      <div>
        <div className="row">
          <Glyph icon={IconCircleCheck} />
          <b>{result.saved ? <Trans>Key works and is saved</Trans> : <Trans>Key works</Trans>}</b>
          {/* OpenRouter's name for the key. */}
          <span className="mono ellipsis space" title={t`Label at OpenRouter`}>
            {result.label}
          </span>
          <span className="tn xs nw">
            {f.timeSeconds(at)}, {f.number(result.ms)} ms
          </span>
        </div>
        <dl>
          <div>
            <dt>
              <Trans>Models</Trans>
            </dt>
            <dd>{f.number(result.models)}</dd>
          </div>
          <div>
            <dt>{(result.limit_reset && period[result.limit_reset]) || t`Limit`}</dt>
            <dd>{result.limit === null ? <Trans>none</Trans> : f.shortMoney(result.limit)}</dd>
          </div>
          <div>
            <dt>
              <Trans>Left</Trans>
            </dt>
            <dd>{f.shortMoney(result.remaining)}</dd>
          </div>
          <div>
            <dt>
              <Trans>Resets</Trans>
            </dt>
            <dd>{result.resets_at ? f.utcTime(result.resets_at) : '—'}</dd>
          </div>
        </dl>
      </div>
    </div>
  )
}
