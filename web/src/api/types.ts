// The shapes of the HTTP API, in one place so that generated types can take it. Amounts are decimal strings in
// USD charge units and never become floats; times are RFC 3339 UTC; ids are UUIDs.

import type { IntentState } from './usage-types'

export type * from './usage-types'

export type Role = 'admin' | 'user' | 'pending'
export type Locale = 'en' | 'pl'

export interface Instance {
  name: string
  version: string
  setup_needed: boolean
  setup_token_required: boolean
  signup_open: boolean
  encrypted: boolean
  /** New answers begin when the update that is under way has ended. */
  updating: boolean
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
  /** 0: a request was refused. */
  percent: number
  limit: string
  spent: string
  at: string
  /** When an admin took note of it. */
  seen_at: string | null
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

/** A budget that limits whoever asks. Amounts are null where others spend from it too, except for an admin. */
export interface OwnBudget {
  scope: BudgetScope
  /** Id of the own API key that it limits, and its name; else empty. */
  key: string
  name: string
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

export interface Model {
  id: string
  name: string
  description: string
  context_length: number
  max_output: number
  /** USD charge per million tokens; null when it cannot be priced and so cannot be chosen. */
  prompt_price: string | null
  completion_price: string | null
  /** USD charge for each request, beside its tokens. */
  request_price: string | null
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
  /** Tokens that a budget left to the answer; 0 when it did not shorten it. */
  shortened_to: number
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
