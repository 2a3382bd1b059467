import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { IconCheck, IconChevronDown, IconSearch } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useVirtualizer } from '@tanstack/react-virtual'
import { type KeyboardEvent, useEffect, useId, useMemo, useRef, useState } from 'react'
import { modelsQuery } from '../api/queries'
import type { Model } from '../api/types'
import { Glyph } from '../ui/Button'
import { type Format, useFormat } from '../ui/format'
import { PopoverSheet } from '../ui/PopoverSheet'
import { modelLetter } from '../ui/people'
import { usePhone } from '../ui/phone'
import { priced, useRefusal } from '../ui/refusal'
import { finder } from '../ui/search'
import { modelName, usable } from './models'

const price = (model: Model, f: Format) =>
  priced(model) ? `${f.shortMoney(model.prompt_price)} / ${f.shortMoney(model.completion_price)}` : '—'

function List(props: { models: Model[]; value: string; onChoose: (id: string) => void }) {
  const { value, onChoose } = props
  // What the data policy rules out is only of interest to an admin who looks for it.
  const models = useMemo(
    () => [...props.models].sort((a, b) => Number(!!a.refused) - Number(!!b.refused)),
    [props.models],
  )
  const { t } = useLingui()
  const f = useFormat()
  const refusal = useRefusal()
  const phone = usePhone()
  const [search, setSearch] = useState('')
  const shown = useMemo(() => {
    const found = finder(search)
    return models.filter((m) => found(`${m.name} ${m.id}`))
  }, [models, search])
  const [active, setActive] = useState(() =>
    Math.max(
      0,
      models.findIndex((m) => m.id === value),
    ),
  )
  const scroller = useRef<HTMLDivElement>(null)
  const listId = useId()
  const height = phone ? 54 : 46
  const rows = useVirtualizer({
    count: shown.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    overscan: 4,
  })
  useEffect(() => {
    if (shown.length > 0) rows.scrollToIndex(Math.min(active, shown.length - 1), { align: 'auto' })
  }, [active, shown.length, rows])

  const onKey = (e: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 6, PageUp: -6 }[e.key]
    if (step) {
      e.preventDefault()
      setActive((at) => Math.max(0, Math.min(shown.length - 1, at + step)))
    } else if (e.key === 'Enter' && !e.nativeEvent.isComposing) {
      e.preventDefault()
      const model = shown[active]
      if (model && usable(model)) onChoose(model.id)
    }
  }
  return (
    <>
      <div className="input soft">
        <Glyph icon={IconSearch} small />
        <input
          data-autofocus={phone ? undefined : true}
          role="combobox"
          aria-expanded
          aria-controls={listId}
          aria-activedescendant={shown[active] ? `${listId}-${active}` : undefined}
          aria-label={t`Search models`}
          placeholder={t`Search ${f.number(models.length)} models`}
          value={search}
          onChange={(e) => {
            setSearch(e.target.value)
            setActive(0)
          }}
          onKeyDown={onKey}
        />
      </div>
      <div className="picker-cap">
        <span>
          <Plural value={shown.length} one="# model" other="# models" />
        </span>
        <span>
          <Trans>per 1M tokens, in / out</Trans>
        </span>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
      <div className="picker-list" ref={scroller} tabIndex={0}>
        <div
          id={listId}
          role="listbox"
          aria-label={t`Models`}
          tabIndex={-1}
          style={{ height: rows.getTotalSize(), position: 'relative' }}
        >
          {rows.getVirtualItems().map((row) => {
            const model = shown[row.index]
            if (!model) return null
            return (
              // biome-ignore lint/a11y/useKeyWithClickEvents: the search field handles the keys of the whole list
              <div
                key={model.id}
                id={`${listId}-${row.index}`}
                role="option"
                tabIndex={-1}
                aria-selected={model.id === value}
                aria-disabled={!usable(model) || undefined}
                aria-setsize={shown.length}
                aria-posinset={row.index + 1}
                className={row.index === active ? 'opt active' : 'opt'}
                style={{ position: 'absolute', top: 0, height, transform: `translateY(${row.start}px)` }}
                onMouseMove={() => setActive(row.index)}
                onClick={() => usable(model) && onChoose(model.id)}
              >
                <span className="mark">{modelLetter(model.name)}</span>
                <span className="opt-text">
                  <span className="strong ellipsis">{modelName(models, model.id)}</span>
                  <small className="ellipsis">
                    {refusal(model) || (
                      <Trans>
                        {f.tokens(model.context_length)} context · {model.id}
                      </Trans>
                    )}
                  </small>
                </span>
                <span className="price">{price(model, f)}</span>
                {model.id === value && <Glyph icon={IconCheck} />}
              </div>
            )
          })}
        </div>
        {shown.length === 0 && (
          <p className="t3 sm" style={{ padding: '14px 10px' }}>
            <Trans>No model has this name.</Trans>
          </p>
        )}
      </div>
      <div className="picker-foot desktop-only">
        <kbd>↑↓</kbd> <Trans>move</Trans> <kbd>Enter</kbd> <Trans>choose</Trans>
      </div>
    </>
  )
}

/** The button that names the model in use and opens the list of all. */
export function ModelPicker(props: { value: string; onChange: (id: string) => void; compact?: boolean }) {
  const { t } = useLingui()
  const [open, setOpen] = useState(false)
  const { data: models } = useQuery(modelsQuery)
  const name = modelName(models, props.value)
  if (!models?.length) return <span className="picker-btn t3">{models ? t`No models` : ''}</span>
  return (
    <PopoverSheet
      label={t`Model`}
      open={open}
      onOpen={setOpen}
      width={440}
      className="picker"
      position={props.compact ? 'top-end' : 'bottom-start'}
      target={
        <button
          type="button"
          className={props.compact ? 'picker-btn compact' : 'picker-btn'}
          aria-haspopup="dialog"
          aria-expanded={open}
          aria-label={t`Model: ${name}`}
          onClick={() => setOpen(!open)}
        >
          {!props.compact && <span className="mark">{modelLetter(name)}</span>}
          <span className="ellipsis">{name || t`Choose a model`}</span>
          <Glyph icon={IconChevronDown} small />
        </button>
      }
    >
      <List
        models={models}
        value={props.value}
        onChoose={(id) => {
          props.onChange(id)
          setOpen(false)
        }}
      />
    </PopoverSheet>
  )
}
