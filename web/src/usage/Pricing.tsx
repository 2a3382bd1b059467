import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { IconSearch } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useDeferredValue, useMemo, useState } from 'react'
import { modelsQuery } from '../api/queries'
import { Glyph } from '../ui/Button'
import { DataTable } from '../ui/DataTable'
import { useFormat } from '../ui/format'
import { CardSkeleton, LoadError } from '../ui/Load'
import { isZero } from '../ui/money'
import { useRefusal } from '../ui/refusal'
import { finder } from '../ui/search'

/** What each model charges per million tokens. */
export default function Pricing() {
  const { t } = useLingui()
  const f = useFormat()
  const refusal = useRefusal()
  const models = useQuery(modelsQuery)
  const [text, setText] = useState('')
  const wanted = useDeferredValue(text)
  const list = useMemo(() => {
    const found = finder(wanted)
    return (models.data ?? [])
      .filter((model) => found(`${model.name} ${model.id}`))
      .toSorted((a, b) => a.name.localeCompare(b.name))
  }, [models.data, wanted])
  if (!models.data) {
    return models.error ? <LoadError error={models.error} onRetry={models.refetch} /> : <CardSkeleton heights={[420]} />
  }
  return (
    <>
      <div className="row activity-bar">
        <div className="input soft search">
          <Glyph icon={IconSearch} small />
          <input
            type="search"
            aria-label={t`Search models`}
            placeholder={t`Search models`}
            value={text}
            onChange={(e) => setText(e.target.value)}
          />
        </div>
        <span className="xs t3">
          <Plural value={list.length} one="# model" other="# models" />
        </span>
      </div>
      <section className="card tables pricing" aria-label={t`Model pricing`}>
        <DataTable
          columns={[
            { label: t`Model` },
            { label: t`In, USD per million`, className: 'n' },
            { label: t`Out, USD per million`, className: 'n' },
            { label: t`Context`, className: 'n desktop-only-cell' },
          ]}
        >
          <tbody>
            {list.map((model) => (
              <tr key={model.id}>
                <td>
                  <div className="ellipsis model-name">{model.name}</div>
                  <div className="xs t3 ellipsis model-name">{model.id}</div>
                  {model.request_price && !isZero(model.request_price) && (
                    <div className="xs t3 model-name">
                      <Trans>and {f.price(model.request_price)} for each request</Trans>
                    </div>
                  )}
                  {refusal(model) && <div className="xs t3 model-name wrapped">{refusal(model)}</div>}
                </td>
                <td className="n">{f.price(model.prompt_price)}</td>
                <td className="n">{f.price(model.completion_price)}</td>
                <td className="n desktop-only-cell">{f.tokens(model.context_length)}</td>
              </tr>
            ))}
          </tbody>
        </DataTable>
        {list.length === 0 && (
          <p className="t2 block-empty">
            <Trans>No model has this in its name.</Trans>
          </p>
        )}
      </section>
      <p className="xs t3 below">
        <Trans>What you are charged. Only what a request really used is charged, to the last digit.</Trans>
      </p>
    </>
  )
}
