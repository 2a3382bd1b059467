// The page's language: what the person chose, else their account's, else the instance's, else the browser's.
import { i18n } from '@lingui/core'
import type { Locale } from '../api/types'

const key = 'mai.locale'
const catalogues: Record<Locale, () => Promise<{ messages: Record<string, never> }>> = {
  en: () => import('../locales/en.po') as never,
  pl: () => import('../locales/pl.po') as never,
}

const known = (value: string | null | undefined): Locale | undefined => {
  const short = value?.slice(0, 2)
  return short === 'en' || short === 'pl' ? short : undefined
}

export function chosenLocale(): Locale | undefined {
  try {
    return known(localStorage.getItem(key))
  } catch {
    return undefined
  }
}

export function pickLocale(account: string | undefined, instance: string | undefined): Locale {
  return chosenLocale() ?? known(account) ?? known(instance) ?? known(navigator.language) ?? 'en'
}

/** Fetches the catalogue that will most likely be needed, before it is known who the person is. */
export async function preloadCatalogue(): Promise<void> {
  await catalogues[pickLocale(undefined, undefined)]().catch(() => {})
}

export async function activate(locale: Locale): Promise<void> {
  if (i18n.locale === locale) return
  const { messages } = await catalogues[locale]()
  i18n.loadAndActivate({ locale, messages })
  document.documentElement.lang = locale
}

export async function chooseLocale(locale: Locale): Promise<void> {
  try {
    localStorage.setItem(key, locale)
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  await activate(locale)
}

export { i18n }
