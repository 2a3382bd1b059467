// What the server tells of usage.
import type { BudgetItem, BudgetPeriod, Page } from './types'

export interface UsageTotals {
  charge: string
  requests: number
  prompt_tokens: number
  completion_tokens: number
}

export type IntentState = 'created' | 'sent' | 'headers' | 'streaming' | 'settled' | 'free' | 'pending' | 'unknown'

/** What calls add up to. */
export interface UsageSums extends UsageTotals {
  /** Calls that ended free or unknown. */
  errors: number
  reasoning_tokens: number
  cached_tokens: number
  held: string
  unknown: number
  at_most: string
  latency_ms: number | null
  first_token_ms: number | null
}

export interface UsagePart {
  charge: string
  requests: number
  tokens: number
}

export interface UsageRow extends UsageSums {
  /** What the filter takes; `none` for calls without an API key. */
  key: string
  name: string
  detail: string
}

export interface UsageStep extends UsagePart {
  /** A day, as `2026-11-25`, or a month, as `2026-11`. */
  date: string
  /** As in `series`, then the rest when there is one. */
  parts: UsagePart[]
  /** Charge in its place of the period before. */
  previous: string | null
}

export interface UsagePeriod {
  from: string
  /** The first instant after it. */
  to: string
  /** `2026-11` when it is a billing month, which is UTC. */
  month: string
  zone: string
}

export type UsageBy = 'model' | 'user' | 'team' | 'kind' | 'key'

/** A period by one thing, and by day or by UTC month. */
export interface UsageReport {
  period: UsagePeriod
  total: UsageSums
  previous: { from: string; to: string; charge: string; requests: number }
  series: string[]
  rows: UsageRow[]
  step: 'day' | 'month'
  steps: UsageStep[]
}

/** What OpenRouter lets the key spend. */
export interface KeyLimit {
  asked_at: string
  /** Null when the key has no limit, as the next two. */
  limit: string | null
  spent: string | null
  remaining: string | null
  reset: '' | 'daily' | 'weekly' | 'monthly'
  /** Null for never. */
  resets_at: string | null
}

/** What ends the spending of the company. */
export interface UsageLimits {
  budgets: BudgetItem[]
  /** Null when OpenRouter has not told it yet. */
  key: KeyLimit | null
  /** Which of them has the least left; empty when fewer than two can end it. */
  sooner: '' | 'key' | BudgetPeriod
}

/** What the cards tell. */
export interface UsageNow {
  at: string
  zone: string
  today: UsageSums
  month: string
  total: UsageSums
  daily_average: string
  projected: string | null
  /** For an admin. */
  limits: UsageLimits | null
}

/** One call. */
export interface UsageCall {
  intent_id: string
  generation_id: string | null
  user_id: string
  user_name: string
  team_id: string
  team_name: string
  model: string
  kind: string
  key_name: string
  state: IntentState
  charge: string | null
  at_most: string | null
  occurred_at: string
  prompt_tokens: number
  completion_tokens: number
  reasoning_tokens: number
  cached_tokens: number
  latency_ms: number | null
  first_token_ms: number | null
  finish_reason: string
  /** The chat it is in, when that is the person's own. */
  chat_id: string | null
}

export interface UsageCalls extends Page<UsageCall> {
  period: UsagePeriod
}

/** Whose days are shown, and in what currency beside USD. */
export interface UsageSettings {
  zone: string
  currency: '' | 'PLN' | 'EUR'
}

/** What a central bank published: `units` of the currency are worth `usd` dollars. */
export interface UsageRate {
  currency: 'PLN' | 'EUR'
  units: string
  usd: string
  /** Number of the NBP's table A. */
  table: string
  published: string
}

export interface UsageChoice {
  key: string
  name: string
  detail: string
}

export type UsageChoices = Record<'users' | 'teams' | 'models' | 'kinds' | 'keys', UsageChoice[]>

/** How certain the books are, and how they compare with OpenRouter's. */
export interface Accuracy {
  month: string
  states: { state: IntentState; count: number; charge: string; at_most: string }[]
  verification: { confirmed: number; waiting: number; adjusted: number; not_known: number; adjusted_by: string }
  key: { sampled_at: string | null; difference: string | null }
  days: {
    date: string
    settled: number
    waiting: number
    adjusted: number
    not_known: number
    pending: number
    unknown: number
    charge: string
    at_most: string
    difference: string | null
    explanation: 'not_compared' | 'equal' | 'around_midnight' | 'unknown' | 'restored' | 'foreign'
  }[]
  gaps: { id: string; kind: 'restored' | 'foreign'; charge: string; from: string; to: string; seen_at: string | null }[]
  /** The key spent what this instance did not ask for, and no admin took note yet. */
  alarm: boolean
}
