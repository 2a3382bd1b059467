import { setupI18n } from '@lingui/core'
import { describe, expect, it } from 'vitest'
import { messages as en } from '../locales/en.po'
import { messages as pl } from '../locales/pl.po'

const i18n = setupI18n({ locale: 'pl', messages: { en, pl } })

/** The catalogue's key of a message that holds this text, found by the English side. */
function keyOf(text: string): string {
  const found = Object.entries(en).find(([, value]) => JSON.stringify(value).includes(text))
  if (!found) throw new Error(`no message with ${text}`)
  return found[0]
}

describe('Polish plurals', () => {
  it.each([
    [1, '1 model'],
    [2, '2 modele'],
    [5, '5 modeli'],
    [12, '12 modeli'],
    [22, '22 modele'],
    [101, '101 modeli'],
  ])('%d', (count, text) => {
    // Of the messages that say this, some call the number otherwise.
    expect(i18n._(keyOf('"#"," models"'), { 0: count, counted: count })).toBe(text)
  })

  it('has every message of the English catalogue', () => {
    expect(Object.keys(pl).sort()).toEqual(Object.keys(en).sort())
  })
})
