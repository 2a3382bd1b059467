// What is shown, as the address says: `?tab=activity&month=2026-10&model=…`. Every view and every export has the same.
import { useMemo } from 'react'
import { useSearch } from 'wouter'
import { navigate } from 'wouter/use-browser-location'
import type { UsageBy } from '../api/types'

export const tabs = ['overview', 'users', 'models', 'teams', 'keys', 'activity', 'pricing', 'accuracy'] as const
export type Tab = (typeof tabs)[number]

/** What calls are filtered by. */
export const dimensions = ['user', 'team', 'model', 'kind', 'key'] as const

/** The parameters that the server knows too. */
const shared = ['month', 'from', 'to', ...dimensions] as const
type Name = (typeof shared)[number]
export type Filters = Partial<Record<Name, string>>

/** The UTC month of now, as `2026-11`: books are kept in UTC. */
export const thisMonth = () => new Date().toISOString().slice(0, 7)

/** The month before or after. */
export function shiftMonth(month: string, by: number): string {
  const [year, of] = month.split('-').map(Number) as [number, number]
  return new Date(Date.UTC(year, of - 1 + by, 1)).toISOString().slice(0, 7)
}

/** The filters as the server's parameters: of everything, or without the period. */
export function query(filters: Filters, period = true): string {
  const params = new URLSearchParams()
  for (const name of shared) {
    const value = filters[name]
    if (value && (period || !['month', 'from', 'to'].includes(name))) params.set(name, value)
  }
  return params.toString()
}

/** The filter that leaves one row of a report. What belongs to nobody of the company are its provider's tests. */
export const only = (by: UsageBy, key: string): Filters => (key === '' ? { kind: 'acceptance' } : { [by]: key })

export interface Shown {
  tab: Tab
  /** What the chart of the overview is parted by. */
  by: UsageBy
  search: string
  state: string
  filters: Filters
  /** The address of something else, with all the rest as it is. */
  to: (change: Partial<{ tab: Tab; by: UsageBy; search: string; state: string }>, filters?: Filters) => string
  /** Changes filters in place. */
  set: (filters: Filters) => void
}

/** What the address says, and how to say something else. */
export function useShown(admin: boolean): Shown {
  const search = useSearch()
  return useMemo(() => {
    const asked = new URLSearchParams(search)
    const filters: Filters = {}
    for (const name of shared) {
      const value = asked.get(name)
      if (value) filters[name] = value
    }
    const tab = tabs.find((name) => name === asked.get('tab')) ?? 'overview'
    const by = dimensions.find((name) => name === asked.get('by')) ?? 'model'
    const to: Shown['to'] = (change, next) => {
      const params = new URLSearchParams(query({ ...filters, ...next }))
      const all = { tab, by, search: asked.get('q') ?? '', state: asked.get('state') ?? '', ...change }
      if (all.tab !== 'overview') params.set('tab', all.tab)
      if (all.by !== 'model') params.set('by', all.by)
      if (all.search) params.set('q', all.search)
      if (all.state) params.set('state', all.state)
      const text = params.toString()
      return text ? `/settings/usage?${text}` : '/settings/usage'
    }
    return {
      tab: !admin && (tab === 'accuracy' || tab === 'users') ? 'overview' : tab,
      by,
      search: asked.get('q') ?? '',
      state: asked.get('state') ?? '',
      filters,
      to,
      set: (next) => navigate(to({}, next), { replace: true }),
    }
  }, [search, admin])
}
