import { useLingui } from '@lingui/react/macro'
import { useQuery } from '@tanstack/react-query'
import { useCallback } from 'react'
import { ApiError } from '../api/client'
import { meQuery } from '../api/queries'

/**
 * The sentence for a failure the server described. What depends on who reads it, because an admin can do more about it, is
 * worded here in every language. Beyond that the server writes English; in another language the codes that say enough by
 * themselves get a sentence of their own, and the rest keep the server's.
 */
export function useDetail(): (code: string, detail: string) => string {
  const { t, i18n } = useLingui()
  const { data: me } = useQuery(meQuery)
  const { locale } = i18n
  const admin = me?.role === 'admin'
  return useCallback(
    (code, detail) => {
      switch (code) {
        case 'upstream_key':
          return admin
            ? t`OpenRouter does not accept the API key: it is mistyped, disabled or deleted. Save a valid key in Settings, under Connections.`
            : t`OpenRouter does not accept this workspace's key, so nothing can be answered at the moment. Tell your admin.`
        case 'upstream_credits':
          return admin
            ? t`The OpenRouter account has not enough credit for this request. Add credit at openrouter.ai, or tell your provider if they own the account.`
            : t`The account that pays for the models at OpenRouter has not enough credit for this request. Tell your admin.`
        case 'upstream_limit':
          return admin
            ? t`The spending limit of the OpenRouter key is reached, and does not reset by itself. Raise it at openrouter.ai, or tell your provider if they manage the key.`
            : t`The spending limit of this workspace's OpenRouter key is reached. It does not reset by itself: tell your admin.`
        case 'upstream_daily':
          return admin
            ? t`The daily spending limit of the OpenRouter key is reached. It resets at midnight UTC. To lift it before, raise it at openrouter.ai, or tell your provider if they manage the key.`
            : t`The daily spending limit of this workspace's OpenRouter key is reached. It resets at midnight UTC. If that is too long, tell your admin.`
        case 'upstream_weekly':
          return admin
            ? t`The weekly spending limit of the OpenRouter key is reached. It resets on Monday, 00:00 UTC. To lift it before, raise it at openrouter.ai, or tell your provider if they manage the key.`
            : t`The weekly spending limit of this workspace's OpenRouter key is reached. It resets on Monday, 00:00 UTC. If that is too long, tell your admin.`
        case 'upstream_monthly':
          return admin
            ? t`The monthly spending limit of the OpenRouter key is reached. It resets on the first of the month, 00:00 UTC. To lift it before, raise it at openrouter.ai, or tell your provider if they manage the key.`
            : t`The monthly spending limit of this workspace's OpenRouter key is reached. It resets on the first of the month, 00:00 UTC. If that is too long, tell your admin.`
      }
      if (locale === 'en') return detail
      switch (code) {
        case 'over_budget':
          return admin
            ? t`The company's budget does not allow this request. Raise it under Usage, wait for running requests, or choose a cheaper model.`
            : t`The company's budget does not allow this request. Choose a cheaper model, or ask your admin.`
        case 'not_connected':
          return t`No OpenRouter key is connected yet. An admin adds it in Settings, under Connections.`
        case 'upstream_busy':
          return t`Requests that are running now use up what the OpenRouter account may spend at once. Wait a moment and try again.`
        case 'policy':
          return admin
            ? t`The data policy of this workspace does not allow this model. Choose another, or change the policy in Settings, under Connections.`
            : t`The data policy of this workspace does not allow this model. Choose another.`
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
    [t, locale, admin],
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
