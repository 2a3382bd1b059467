import { useLingui } from '@lingui/react/macro'
import { useCallback } from 'react'
import { ApiError } from '../api/client'

/** Turns any failure into a sentence. What the server refused, it has said itself, in the page's language. */
export function useErrorText(): (error: unknown) => string {
  const { t } = useLingui()
  return useCallback(
    (error) => {
      if (error instanceof ApiError) {
        if (error.unreachable) return t`The server cannot be reached. Check your connection and try again.`
        if (error.message) return error.message
      }
      return t`Something failed on the server. Try again in a moment.`
    },
    [t],
  )
}
