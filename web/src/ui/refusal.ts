import { useLingui } from '@lingui/react/macro'
import type { Model } from '../api/types'

export const priced = (model: Model) => model.prompt_price !== null && model.completion_price !== null

/** Why a model cannot be used, in a few words; empty when it can. */
export function useRefusal(): (model: Model) => string {
  const { t } = useLingui()
  return (model) => {
    if (!priced(model)) return t`Its price is not known, so it cannot be used`
    if (model.refused === 'zero_retention') return t`Data policy: no zero-retention provider`
    return model.refused && t`Data policy: no allowed provider`
  }
}
