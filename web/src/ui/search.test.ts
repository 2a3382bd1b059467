import { describe, expect, it } from 'vitest'
import { finder } from './search'

describe('finder', () => {
  it.each([
    ['', 'Anna Król', true],
    ['krol', 'Anna Król', true],
    ['Król', 'anna krol', true],
    ['zielinski jan', 'Jan Zieliński', true],
    ['LODZ', 'Łódź', true],
    ['ł', 'Paweł', true],
    ['krol jan', 'Anna Król', false],
  ])('%s in %s: %s', (search, text, found) => expect(finder(search)(text)).toBe(found))
})
