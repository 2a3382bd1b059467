import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { expect, type Page } from '@playwright/test'
import type { AxeResults } from 'axe-core'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
const looks = [
  { width: 1280, height: 800, colorScheme: 'light' },
  { width: 1280, height: 800, colorScheme: 'dark' },
  { width: 390, height: 844, colorScheme: 'dark' },
  { width: 390, height: 844, colorScheme: 'light' },
] as const

declare global {
  interface Window {
    axe: { run: (context: Document, options: object) => Promise<AxeResults> }
  }
}

/** Runs axe with no rule switched off on what the page shows; the failure lists rule, element and reason. */
export async function expectAccessible(page: Page, where: string): Promise<void> {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe)
  const found = await page.evaluate(async (values) => {
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)))
    const options = { runOnly: { type: 'tag', values }, resultTypes: ['violations'] }
    const { violations } = await window.axe.run(document, options)
    return violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(' ')}\n${n.failureSummary}`))
  }, tags)
  expect.soft(found, `axe on ${where}`).toEqual([])
}

/** Checks the states of a page, each in light and dark, wide and on a phone. */
export class Axe {
  /** How many looks of states were checked. */
  count = 0

  constructor(
    readonly page: Page,
    readonly language: string,
  ) {}

  /** Checks what is on the page now, whatever is open. */
  async check(state: string, widths: readonly number[] = [1280, 390]): Promise<void> {
    for (const { width, height, colorScheme } of looks) {
      if (!widths.includes(width)) continue
      await this.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      await this.page.setViewportSize({ width, height })
      await expectAccessible(this.page, `${state}, ${this.language}, ${width} px, ${colorScheme}`)
      this.count++
    }
    await this.page.setViewportSize({ width: 1280, height: 800 })
  }
}

/** Says an English text of the pages in a language, as the catalogue has it. */
export function phrases(language: string): (english: string, context?: string) => string {
  const catalogue = readFileSync(join(import.meta.dirname, `../../web/src/locales/${language}.po`), 'utf8')
  const key = (english?: string, context = '') => `${context}: ${english}`
  const pairs = new Map(
    [...catalogue.matchAll(/^(?:msgctxt "(.+)"\n)?msgid "(.+)"\nmsgstr "(.+)"$/gm)].map(
      ([, context, english, said]) => [key(english, context), said] as const,
    ),
  )
  return (english, context) => {
    const said = pairs.get(key(english, context))
    if (!said) throw new Error(`${language}.po has no "${english}"`)
    return said
  }
}
