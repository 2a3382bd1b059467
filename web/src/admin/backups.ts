// What only the page of the backups reads of the server.
import { queryOptions } from '@tanstack/react-query'
import { get } from '../api/client'

export interface BackupRecipient {
  /** Who has the private half of the key. */
  keeper: 'operator' | 'client' | 'provider'
  key: string
  added_at: string | null
}

export interface Backup {
  created_at: string
  verified_at: string
  size: number
  entries: number
  encrypted: boolean
}

export interface Backups {
  /** The last one that was restored and verified. */
  last: Backup | null
  count: number
  next: string | null
  running: boolean
  failed: string | null
  failed_at: string | null
  folder: string
  /** Copies off the host; null when none are kept. */
  copies: { place: string; last: Backup | null; count: number; failed: string | null; failed_at: string | null } | null
  recipients: BackupRecipient[]
  provider_offered: boolean
}

export const backupsQuery = queryOptions({
  queryKey: ['backups'],
  queryFn: () => get<Backups>('/backups'),
  refetchInterval: ({ state }) => (state.data?.running ? 1_000 : 30_000),
})
