// The server's data as the pages read it. Features share these, never each other's.
import { infiniteQueryOptions, QueryClient, queryOptions } from '@tanstack/react-query'
import { ApiError, get } from './client'
import type {
  Accuracy,
  ApiKey,
  BudgetItem,
  Chat,
  ChatRow,
  Connection,
  DataPolicy,
  Instance,
  Me,
  Message,
  Model,
  Notices,
  OwnBudget,
  Page,
  Provider,
  Retention,
  Team,
  UsageBy,
  UsageCalls,
  UsageChoices,
  UsageNow,
  UsageRate,
  UsageReport,
  UsageSettings,
  User,
} from './types'

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 30_000,
      retry: (count, error) => count < 2 && error instanceof ApiError && (error.unreachable || error.status >= 500),
      refetchOnWindowFocus: true,
    },
  },
})

export const instanceQuery = queryOptions({
  queryKey: ['instance'],
  queryFn: () => get<Instance>('/instance'),
  staleTime: 5 * 60_000,
})

/** The signed-in person, or null when nobody is. */
export const meQuery = queryOptions({
  queryKey: ['me'],
  queryFn: () =>
    get<Me>('/auths/me').catch((error: ApiError) => {
      if (error.status === 401) return null
      throw error
    }),
})

export const modelsQuery = queryOptions({
  queryKey: ['models'],
  queryFn: () => get<{ items: Model[] }>('/models').then((r) => r.items),
  staleTime: 5 * 60_000,
})

export const chatsQuery = infiniteQueryOptions({
  queryKey: ['chats'],
  queryFn: ({ pageParam }) =>
    get<Page<ChatRow>>(`/chats?limit=50${pageParam ? `&cursor=${encodeURIComponent(pageParam)}` : ''}`),
  initialPageParam: '',
  getNextPageParam: (last) => last.next || undefined,
})

/**
 * How long until the chat is read again, in ms: a charge that OpenRouter had not told when the answer ended is mostly told
 * within seconds. The feed says so too, but it and the answer's own stream may arrive in either order.
 */
function untilCharged(chat: Chat | undefined): number | false {
  const open = chat?.messages.filter(
    (m) => m.run?.ended_at && m.charge && !['settled', 'free', 'unknown'].includes(m.charge.state),
  )
  if (!open?.length) return false
  const justEnded = open.some((m) => Date.now() - Date.parse(m.run?.ended_at ?? '') < 60_000)
  return justEnded ? 2_000 : 30_000
}

/**
 * Messages with newer ones put in their places, and unknown ones at the end. Nothing changes its place, so that what
 * stays the same is found to be the same.
 */
export function mergeMessages(before: Message[], newer: Message[]): Message[] {
  const fresh = new Map(newer.map((m) => [m.id, m]))
  const kept = before.map((m) => {
    const next = fresh.get(m.id)
    if (next) fresh.delete(m.id)
    return next ?? m
  })
  return [...kept, ...fresh.values()]
}

export const chatQuery = (id: string) =>
  queryOptions({
    queryKey: ['chat', id],
    queryFn: async () => {
      const chat = await get<Chat>(`/chats/${id}`)
      const known = queryClient.getQueryData<Chat>(['chat', id])?.messages ?? []
      return { ...chat, messages: mergeMessages(known, chat.messages) }
    },
    // Live text comes by events; a refetch happens on mount and after the line was lost, but not of what was just fetched
    // for this very page.
    staleTime: 3_000,
    refetchOnWindowFocus: false,
    refetchInterval: (query) => untilCharged(query.state.data),
  })

export const apiKeysQuery = queryOptions({
  queryKey: ['api-keys'],
  queryFn: () => get<{ items: ApiKey[] }>('/api-keys').then((r) => r.items),
})

export const usersQuery = queryOptions({
  queryKey: ['users'],
  queryFn: () => get<{ items: User[] }>('/users').then((r) => r.items),
})

export const teamsQuery = queryOptions({
  queryKey: ['teams'],
  queryFn: () => get<{ items: Team[] }>('/teams').then((r) => r.items),
})

export const connectionQuery = queryOptions({
  queryKey: ['connection'],
  queryFn: () => get<Connection>('/connection'),
})

export const policyQuery = queryOptions({
  queryKey: ['data-policy'],
  queryFn: () => get<DataPolicy>('/data-policy'),
  staleTime: 5 * 60_000,
})

/** How long chats are kept; `days` is null for ever. */
export const retentionQuery = queryOptions({
  queryKey: ['retention'],
  queryFn: () => get<Retention>('/retention'),
  staleTime: 5 * 60_000,
})

export const providersQuery = queryOptions({
  queryKey: ['providers'],
  queryFn: () => get<{ items: Provider[] }>('/connection/providers').then((r) => r.items),
  staleTime: 60 * 60_000,
})

/** All budgets, for admins. */
export const budgetsQuery = queryOptions({
  queryKey: ['budgets'],
  queryFn: () => get<{ items: BudgetItem[] }>('/budgets').then((r) => r.items),
  refetchInterval: 30_000,
})

/** Alerts of budgets, for admins. */
export const noticesQuery = queryOptions({
  queryKey: ['notices'],
  queryFn: () => get<Notices>('/notices'),
  refetchInterval: 30_000,
})

/** The alerts that no admin took note of, for admins. */
export const unseenAlertsQuery = queryOptions({
  queryKey: ['notices', 'unseen'],
  queryFn: () => get<Notices>('/notices?unseen=true').then((r) => r.alerts),
  refetchInterval: 30_000,
})

/** The budgets that limit the person who is signed in. */
export const ownBudgetsQuery = queryOptions({
  queryKey: ['budgets', 'mine'],
  queryFn: () => get<{ items: OwnBudget[] }>('/budgets/mine').then((r) => r.items),
  refetchInterval: 20_000,
})

/** What the cards of usage tell, of the calls that a filter is about. */
export const usageNowQuery = (filter: string) =>
  queryOptions({
    queryKey: ['usage', 'now', filter],
    queryFn: () => get<UsageNow>(`/usage/now${filter && `?${filter}`}`),
    placeholderData: (previous) => previous,
  })

/** A period by one thing and by day. */
export const usageReportQuery = (filter: string, by: UsageBy) =>
  queryOptions({
    queryKey: ['usage', 'report', by, filter],
    queryFn: () => get<UsageReport>(`/usage/report?by=${by}${filter && `&${filter}`}`),
    placeholderData: (previous) => previous,
  })

/** The single calls, page by page. `filter` also holds what is searched for. */
export const usageCallsQuery = (filter: string) =>
  infiniteQueryOptions({
    queryKey: ['usage', 'calls', filter],
    queryFn: ({ pageParam }) =>
      get<UsageCalls>(`/usage/calls?limit=50${filter && `&${filter}`}${pageParam && `&before=${pageParam}`}`),
    initialPageParam: '',
    getNextPageParam: (last) => last.next || undefined,
    placeholderData: (previous) => previous,
  })

export const usageSettingsQuery = queryOptions({
  queryKey: ['usage', 'settings'],
  queryFn: () => get<UsageSettings>('/usage/settings'),
  staleTime: 60_000,
})

/** The exchange rate for a period, null when there is none. */
export const usageRateQuery = (filter: string) =>
  queryOptions({
    queryKey: ['usage-rate', filter],
    queryFn: () => get<{ day: string; rate: UsageRate | null }>(`/usage/rate${filter && `?${filter}`}`),
    staleTime: 5 * 60_000,
  })

export const usageChoicesQuery = queryOptions({
  queryKey: ['usage', 'choices'],
  queryFn: () => get<UsageChoices>('/usage/choices'),
  staleTime: 5 * 60_000,
})

export const accuracyQuery = (month: string) =>
  queryOptions({
    queryKey: ['usage', 'accuracy', month],
    queryFn: () => get<Accuracy>(`/usage/accuracy?month=${month}`),
    placeholderData: (previous) => previous,
  })
