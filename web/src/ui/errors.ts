import { useLingui } from '@lingui/react/macro'
import { ApiError } from '../api/client'

/** Turns any failure into a sentence. The server's own sentence is kept; only silence needs words of ours. */
export function useErrorText(): (error: unknown) => string {
  const { t } = useLingui()
  return (error) => {
    if (error instanceof ApiError) {
      if (error.unreachable) return t`The server cannot be reached. Check your connection and try again.`
      if (error.message) return error.message
    }
    return t`Something failed on the server. Try again in a moment.`
  }
}
