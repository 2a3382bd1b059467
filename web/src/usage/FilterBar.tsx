import { useLingui } from '@lingui/react/macro'
import { IconDownload, IconX } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { type ReactNode, useId } from 'react'
import { usageChoicesQuery } from '../api/queries'
import type { UsageBy, UsageChoices } from '../api/types'
import { Glyph } from '../ui/Button'
import { useFormat } from '../ui/format'
import { dimensions, type Filters, query, type Shown, shiftMonth, thisMonth } from './filters'
import { useDimensions, useUsageNames } from './names'

/** Where the values of a filter are. */
const lists: Record<(typeof dimensions)[number], keyof UsageChoices> = {
  user: 'users',
  team: 'teams',
  model: 'models',
  kind: 'kinds',
  key: 'keys',
}

/** One filter: the browser's own list in a chip, and the way to take it off. */
function Chip(props: {
  label: string
  value: string
  active: boolean
  onChange: (value: string) => void
  children: ReactNode
}) {
  const { t } = useLingui()
  const id = useId()
  return (
    <div className={props.active ? 'chip on' : 'chip'}>
      <label htmlFor={id}>{props.label}</label>
      <select id={id} value={props.value} onChange={(e) => props.onChange(e.target.value)}>
        {props.children}
      </select>
      {props.active && (
        <button type="button" aria-label={t`Take away: ${props.label}`} onClick={() => props.onChange('')}>
          <Glyph icon={IconX} small />
        </button>
      )}
    </div>
  )
}

/** A day as an address has it, some days before today by the calendar of this browser. */
function dayBefore(days: number): string {
  const day = new Date()
  day.setDate(day.getDate() - days)
  return `${day.getFullYear()}-${String(day.getMonth() + 1).padStart(2, '0')}-${String(day.getDate()).padStart(2, '0')}`
}

/** The name of a period in the list; a month is its own. */
function periodOf({ from, to, month }: Filters): string {
  if (!from) return month ?? thisMonth()
  if (!to && from === dayBefore(6)) return 'week'
  if (!to && from === dayBefore(29)) return 'days30'
  if (!to && from === dayBefore(89)) return 'days90'
  return 'own'
}

function Period({ shown }: { shown: Shown }) {
  const { t } = useLingui()
  const f = useFormat()
  const { filters, set } = shown
  const now = thisMonth()
  const months = Array.from({ length: 13 }, (_, i) => shiftMonth(now, -i))
  if (filters.month && !months.includes(filters.month)) months.push(filters.month)
  const value = periodOf(filters)
  const choose = (next: string) => {
    const days = { week: 6, days30: 29, days90: 89 }[next]
    if (days !== undefined) set({ month: '', from: dayBefore(days), to: '' })
    else if (next === 'own') set({ month: '', from: dayBefore(13), to: dayBefore(0) })
    else set({ month: next === now ? '' : next, from: '', to: '' })
  }
  const day = (name: 'from' | 'to', label: string) => (
    <input
      type="date"
      className="chip day"
      aria-label={label}
      value={filters[name] ?? ''}
      min={name === 'to' ? filters.from : undefined}
      max={name === 'from' ? filters.to : dayBefore(0)}
      onChange={(e) => e.target.value && set({ [name]: e.target.value })}
    />
  )
  return (
    <>
      <Chip label={t`Period`} value={value} active={value !== now} onChange={choose}>
        <option value="week">{t`Last 7 days`}</option>
        <option value="days30">{t`Last 30 days`}</option>
        <option value="days90">{t`Last 90 days`}</option>
        <option value="own">{t`Own days`}</option>
        {months.map((month) => (
          <option key={month} value={month}>
            {f.month(month)}
          </option>
        ))}
      </Chip>
      {value === 'own' && (
        <>
          {day('from', t`First day`)}
          {day('to', t`Last day`)}
        </>
      )}
    </>
  )
}

/** What a tab shows, as the server names it for a file. */
const views: Partial<Record<Shown['tab'], string>> = {
  overview: 'days',
  users: 'user',
  models: 'model',
  teams: 'team',
  keys: 'key',
  activity: 'calls',
}

/** The tab's figures as a file, of the same filters. */
function Export({ shown }: { shown: Shown }) {
  const { t } = useLingui()
  const params = new URLSearchParams(query(shown.filters))
  params.set('view', views[shown.tab] ?? '')
  if (shown.search) params.set('q', shown.search)
  if (shown.state) params.set('state', shown.state)
  const link = (format: string, name: string, label: string) => (
    <a className="btn export" href={`/api/v1/usage/export?${params}&format=${format}`} download aria-label={label}>
      {name}
    </a>
  )
  return (
    <span className="row exports">
      <Glyph icon={IconDownload} small />
      {link('csv', 'CSV', t`Save as CSV`)}
      {link('xlsx', 'Excel', t`Save as an Excel workbook`)}
    </span>
  )
}

/** What the page is about: a period and, of all calls, some. It is the same on every tab, and in the address. */
export function FilterBar({ shown, admin }: { shown: Shown; admin: boolean }) {
  const { t } = useLingui()
  const words = useDimensions()
  const name = useUsageNames()
  const { data } = useQuery(usageChoicesQuery)
  const { filters, set } = shown
  /** What is called a value of the address that no call has. */
  const unlisted = (by: UsageBy, value: string) =>
    by === 'user' ? data && t`Unknown user` : name(by, { key: value, name: '' })
  return (
    <section className="filters" aria-label={t`Filters`}>
      <Period shown={shown} />
      {dimensions.map((by) => {
        if (shown.tab === 'accuracy') return null // the books are of everybody
        const value = filters[by] ?? ''
        // What nobody's is, is found by its source.
        const choices = data?.[lists[by]].filter((choice) => choice.key !== '') ?? []
        const several = value.includes(',')
        if (by === 'user' && !admin) return null
        if (choices.length < 2 && !value) return null
        return (
          <Chip key={by} label={words[by]} value={value} active={value !== ''} onChange={(next) => set({ [by]: next })}>
            <option value="">
              {by === 'user' ? t({ message: 'All', context: 'people' }) : t({ message: 'All', context: 'things' })}
            </option>
            {(several || !choices.some((choice) => choice.key === value)) && value && (
              <option value={value}>{several ? t`Several` : unlisted(by, value)}</option>
            )}
            {choices.map((choice) => (
              <option key={choice.key} value={choice.key}>
                {name(by, choice)}
              </option>
            ))}
          </Chip>
        )
      })}
      {views[shown.tab] && <Export shown={shown} />}
    </section>
  )
}
