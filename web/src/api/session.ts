// Entering and leaving: nothing of the person before may stay in the cache of the person after.
import { post } from './client'
import { chatsQuery, instanceQuery, meQuery, modelsQuery, queryClient } from './queries'

function forget(): void {
  queryClient.removeQueries({ predicate: (query) => query.queryKey[0] !== 'instance' && query.queryKey[0] !== 'me' })
}

/** Reads who is signed in now, after the server has said yes. */
export async function enterSession(): Promise<void> {
  forget()
  await Promise.all([
    queryClient.fetchQuery({ ...instanceQuery, staleTime: 0 }),
    queryClient.fetchQuery({ ...meQuery, staleTime: 0 }),
  ])
}

/** Fetches what the first page of a signed-in person shows. */
export function prefetchHome(): void {
  void queryClient.prefetchInfiniteQuery(chatsQuery)
  void queryClient.prefetchQuery(modelsQuery)
}

export async function leaveSession(): Promise<void> {
  await post('/auths/signout').catch(() => {})
  queryClient.setQueryData(meQuery.queryKey, null)
  forget()
}
