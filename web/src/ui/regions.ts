// Places of a data policy, in words.
import { useLingui } from '@lingui/react/macro'
import { useMemo } from 'react'

export const EEA = 'EEA'

/** The countries that `EEA` stands for. */
export const eeaCountries =
  'AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE IS LI NO'.split(' ')

/** The name of a country, or of the EEA, in the page's language. */
export function useRegionName(): (region: string) => string {
  const { t, i18n } = useLingui()
  const { locale } = i18n
  return useMemo(() => {
    const names = new Intl.DisplayNames([locale], { type: 'region' })
    return (region) => (region === EEA ? t`European Economic Area` : (names.of(region) ?? region))
  }, [t, locale])
}
