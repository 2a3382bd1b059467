import { useLingui } from '@lingui/react/macro'
import { useCallback } from 'react'
import { ApiError } from '../api/client'

/**
 * The sentence for a failure the server described. The server writes English; in another language the codes that say
 * enough by themselves get a sentence of their own, and the rest keep the server's.
 */
export function useDetail(): (code: string, detail: string) => string {
  const { t, i18n } = useLingui()
  const { locale } = i18n
  return useCallback(
    (code, detail) => {
      if (locale === 'en') return detail
      switch (code) {
        case 'over_budget':
          return t`The company's budget does not allow this request. Ask your admin.`
        case 'not_connected':
          return t`No OpenRouter key is connected yet. An admin adds it in Settings, under Connections.`
        case 'upstream_credits':
          return t`The provider's account at OpenRouter is empty. Tell your admin.`
        case 'upstream_limit':
          return t`The limit of the OpenRouter key is reached. Tell your admin.`
        case 'too_many':
          return t`Too many attempts. Try again in a few minutes.`
        case 'unavailable':
          return t`This cannot be done at the moment. Try again in a minute.`
        case 'internal':
          return t`Something failed on the server. Try again in a moment.`
        default:
          return detail
      }
    },
    [t, locale],
  )
}

/** Turns any failure into a sentence. */
export function useErrorText(): (error: unknown) => string {
  const { t } = useLingui()
  const detail = useDetail()
  return useCallback(
    (error) => {
      if (error instanceof ApiError) {
        if (error.unreachable) return t`The server cannot be reached. Check your connection and try again.`
        if (error.message) return detail(error.code, error.message)
      }
      return t`Something failed on the server. Try again in a moment.`
    },
    [t, detail],
  )
}
