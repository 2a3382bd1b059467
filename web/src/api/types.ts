// The shapes of the HTTP API, in one file so that generated types can take its place. Amounts are decimal strings in
// USD charge units and never become floats; times are RFC 3339 UTC; ids are UUIDs.

export type Role = 'admin' | 'user' | 'pending'
export type Locale = 'en' | 'pl'

export interface Instance {
  name: string
  version: string
  setup_needed: boolean
  setup_token_required: boolean
  signup_open: boolean
  encrypted: boolean
  locale: Locale
  demo: boolean
  demo_logins?: { name: string; role: Role; email: string; password: string }[]
}

export interface Session {
  token: string
  token_type: 'Bearer'
  id: string
  email: string
  name: string
  role: Role
}

export interface Me {
  id: string
  name: string
  email: string
  role: Role
  locale?: Locale
  /** False until a key is saved, so that a chat cannot be answered yet. */
  connected: boolean
}

/** The length of a budget's period, in UTC; weeks begin on Monday. */
export type BudgetPeriod = 'day' | 'week' | 'month'

/** A key for other programs, without the key itself. */
export interface ApiKey {
  id: string
  name: string
  last4: string
  /** Ids of the models that it may use; empty for all. */
  models: string[]
  budgets: { limit: string; period: BudgetPeriod; spent: string; remaining: string; resets_at: string }[]
  created_at: string
  last_used_at: string | null
  expires_at: string | null
  expired: boolean
}

/** What is told of a key once, when it is made. */
export interface NewApiKey extends ApiKey {
  api_key: string
}

export type BudgetScope = 'company' | 'team' | 'user' | 'key'

/** What an admin sets of a budget. There is one for a scope, a subject and a period. */
export interface BudgetFields {
  scope: BudgetScope
  /** Id of the team, user or API key; empty for the company. */
  subject: string
  period: BudgetPeriod
  limit: string
  /** Refuses what does not fit; otherwise it only warns. */
  hard: boolean
  /** Per cent of the limit at which admins are told. */
  alerts: number[]
}

export interface BudgetItem extends BudgetFields {
  name: string
  /** Whose API key it is; else empty. */
  owner: string
  spent: string
  held: string
  remaining: string
  starts_at: string
  resets_at: string
}

export interface EmailSettings {
  host: string
  port: number
  tls: 'starttls' | 'tls' | 'none'
  username: string
  from: string
  to: string[]
}

/** A budget passed one of its percentages. */
export interface BudgetAlert {
  id: string
  scope: BudgetScope
  subject: string
  name: string
  period: string
  percent: number
  limit: string
  spent: string
  at: string
  deliveries: {
    channel: 'email' | 'webhook'
    state: 'waiting' | 'sent' | 'given_up'
    tries: number
    last_error: string
    next_at: string | null
    sent_at: string | null
  }[]
}

/** Alerts, the newest first, and where they are sent. */
export interface Notices {
  email: EmailSettings | null
  webhook: { url: string } | null
  alerts: BudgetAlert[]
}

/** A budget that limits whoever asks. Amounts are null where others spend from it too. */
export interface OwnBudget {
  scope: BudgetScope
  period: BudgetPeriod
  hard: boolean
  level: 'fine' | 'near' | 'used'
  limit: string | null
  spent: string | null
  held: string | null
  remaining: string | null
  resets_at: string
}

export interface User {
  id: string
  name: string
  email: string
  role: Role
  team_id: string
  disabled: boolean
  created_at: string
  last_active_at?: string | null
  charge_month: string
  requests_month: number
}

/** The one group that a person's spending is counted under. `everyone` is always there. */
export interface Team {
  id: string
  name: string
  people: number
}

export interface Connection {
  base_url: string
  key_hint: string | null
  source: 'none' | 'saved' | 'environment' | 'file'
  managed: boolean
}

export type Problem =
  | ''
  | 'bad_key'
  | 'management_key'
  | 'disabled'
  | 'exhausted'
  | 'wrong_url'
  | 'no_network'
  | 'upstream'

export interface Verification {
  ok: boolean
  problem: Problem
  message: string
  label?: string
  limit: string | null
  remaining: string | null
  limit_reset: string | null
  resets_at: string | null
  models: number
  ms: number
  reply?: string
  saved?: boolean
}

/** What an admin decides of who may get to see prompts. */
export interface PolicyFields {
  no_training: boolean
  zero_retention: boolean
  /** `EEA` or two-letter countries, in which all data centres of a provider must be; empty for everywhere. */
  regions: string[]
  /** Slugs of the providers allowed; empty for all. */
  providers: string[]
}

export interface DataPolicy extends PolicyFields {
  /** Who is left by regions and providers; empty when neither is set. */
  allowed: Provider[]
  changed_at: string | null
}

export interface PolicyEffect {
  models: number
  models_refused: number
  /** Left by regions and providers; 0 when neither is set. */
  providers: number
}

/** A company that runs models. Countries are two-letter codes; empty when OpenRouter does not say. */
export interface Provider {
  slug: string
  name: string
  headquarters: string
  datacenters: string[]
}

export interface Budget {
  limit: string | null
  spent: string
  held: string
  remaining: string | null
  period: string
  resets_at: string
}

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

export interface UsageDay extends UsagePart {
  date: string
  /** As in `series`, then the rest when there is one. */
  parts: UsagePart[]
  /** Charge of the day in its place of the period before. */
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

/** A period by one thing and by day. */
export interface UsageReport {
  period: UsagePeriod
  total: UsageSums
  previous: { from: string; to: string; charge: string; requests: number }
  series: string[]
  rows: UsageRow[]
  days: UsageDay[]
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
  budget: Budget | null
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

export interface Model {
  id: string
  name: string
  description: string
  context_length: number
  max_output: number
  /** USD charge per million tokens; null when it cannot be priced and so cannot be chosen. */
  prompt_price: string | null
  completion_price: string | null
  /** Why the data policy rules it out. Only admins get such models. */
  refused: '' | 'zero_retention' | 'providers'
}

export interface ChatRow {
  id: string
  title: string
  created_at: string
  updated_at: string
  running: boolean
}

export type RunState = 'running' | 'done' | 'stopped' | 'interrupted' | 'failed'

export interface Run {
  id: string
  state: RunState
  /** Sequence number of the last delta that `content` already holds. */
  seq: number
  error: { code: string; detail: string } | null
  started_at: string
  ended_at: string | null
  finish_reason: string | null
  held: string | null
}

export interface Charge {
  state: Exclude<IntentState, 'created'>
  amount: string | null
  at_most: string | null
  generation_id: string | null
  prompt_tokens: number
  completion_tokens: number
  reasoning_tokens: number
  cached_tokens: number
}

export interface Message {
  id: string
  parent_id: string | null
  role: 'user' | 'assistant'
  content: string
  reasoning: string
  model: string
  created_at: string
  run: Run | null
  charge: Charge | null
}

export interface Chat {
  id: string
  title: string
  created_at: string
  updated_at: string
  current_id: string | null
  /** Those that are loaded, in no order: the end of the branch on screen, and what was asked for since. */
  messages: Message[]
}

export interface SendRequest {
  message_id: string
  reply_id: string
  parent_id: string | null
  content: string
  model: string
}

export interface SendReply {
  run_id: string
  user: Message
  reply: Message
}

export interface RunReply {
  run_id: string
  reply: Message
}

/** An event of `/api/v1/events`: something in this person's chat list changed. */
export interface ChatEvent {
  id: string
  title: string
  updated_at: string
  running: boolean
  deleted: boolean
}

export interface Page<T> {
  items: T[]
  next: string | null
}

/** After how many days without a message chats are deleted; null: never. */
export interface Retention {
  days: number | null
  changed_at: string | null
}
