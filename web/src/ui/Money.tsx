import { useFormat } from './format'
import { exactMoney } from './money'

/** The exact amount: the digits a person compares, then every further digit in a quieter tone. */
export function ExactMoney({ amount, weight }: { amount: string | null; weight?: number }) {
  const { locale } = useFormat()
  const { head, tail, unit } = exactMoney(amount, locale)
  return (
    <span className="tn">
      {head}
      {(tail || unit) && (
        <span className="nw">
          {tail && (
            <span className="tail" style={weight ? { fontWeight: weight } : undefined}>
              {tail}
            </span>
          )}
          {unit && <span className="money-unit">{unit}</span>}
        </span>
      )}
    </span>
  )
}
