import { useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import { instanceQuery } from '../api/queries'

/** Names the browser tab after the page and the instance. */
export function usePageTitle(title: string): void {
  const client = useQueryClient()
  useEffect(() => {
    document.title = [title, client.getQueryData(instanceQuery.queryKey)?.name ?? 'mAI'].filter(Boolean).join(' · ')
  }, [title, client])
}
