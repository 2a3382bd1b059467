// What only the page of the backups reads of the server.
import { queryOptions } from '@tanstack/react-query'
import { get } from '../api/client'

export interface BackupRecipient {
  /** Who has the private half of the key. */
  keeper: 'operator' | 'client' | 'provider'
  key: string
  added_at: string | null
}

export interface Backups {
  /** The last one that was restored and verified. */
  last: { created_at: string; verified_at: string; size: number; entries: number; encrypted: boolean } | null
  count: number
  next: string | null
  running: boolean
  failed: string | null
  failed_at: string | null
  folder: string
  recipients: BackupRecipient[]
  provider_offered: boolean
}

export const backupsQuery = queryOptions({
  queryKey: ['backups'],
  queryFn: () => get<Backups>('/backups'),
  refetchInterval: ({ state }) => (state.data?.running ? 1_000 : 30_000),
})
