import { globSync, readFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const src = resolve(dirname(fileURLToPath(import.meta.url)), '..')
/** What each folder may import beside itself. A folder that is not here fails the test. */
const allowed: Record<string, string[]> = {
  api: [],
  ui: ['api', 'locales'],
  account: ['api', 'ui'],
  admin: ['api', 'ui'],
  budgets: ['api', 'ui'],
  chat: ['api', 'ui'],
  settings: ['api', 'ui'],
  usage: ['api', 'ui'],
  app: ['api', 'ui', 'account', 'admin', 'budgets', 'chat', 'settings', 'usage'],
}
const files = globSync('**/*.{ts,tsx,css}', { cwd: src }).filter((file) => file.includes('/'))

it('a feature imports ui and api, never another feature', () => {
  const wrong: string[] = []
  for (const file of files) {
    const folder = file.split('/')[0] as string
    for (const [, target] of readFileSync(`${src}/${file}`, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)) {
      const to = relative(src, resolve(src, dirname(file), target as string)).split('/')[0] as string
      if (to !== folder && !allowed[folder]?.includes(to)) wrong.push(`${file} imports ${target}`)
    }
  }
  expect(wrong).toEqual([])
})

it('no file is longer than 400 lines', () => {
  const long = files.filter((file) => readFileSync(`${src}/${file}`, 'utf8').split('\n').length > 401)
  expect(long).toEqual([])
})
