// The first impression: `mai demo`, as it is started, seen by its two people.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test as base, type Page } from '@playwright/test'
import { ChatPage } from '../pages/chat'
import { visit } from '../pages/places'
import { expect } from '../support/fixtures'
import { Program } from '../support/program'

const test = base.extend<{ demo: Program }>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright wants the pattern
  demo: async ({}, use) => {
    const folder = await mkdtemp(join(tmpdir(), 'mai-demo-'))
    const program = await Program.start(
      process.env.MAI_BIN as string,
      ['demo', '--addr', '127.0.0.1:0', '--data', folder],
      {},
      /http:\/\/localhost:(\d+)/,
    )
    await use(program)
    await program.kill()
    await rm(folder, { recursive: true, force: true })
  },
  baseURL: async ({ demo }, use) => {
    await use(`http://localhost:${demo.ready}`)
  },
})

const section = (page: Page, heading: string) =>
  page.locator('section').filter({ has: page.getByRole('heading', { name: heading }) })

/** Dollars as a table shows them, as a number of hundredths of a cent: only for comparing what is rounded. */
const shown = (text: string | null) => Math.round(Number(/\$([\d.,]+)/.exec(text ?? '')?.[1]?.replace(',', '')) * 10_000)

test('an admin sees a company at work: chats, people in teams, usage that adds up', async ({ page }) => {
  await page.goto('/')
  await page.getByRole('button', { name: 'Sign in as Anna Kowalczyk, an admin' }).click()
  const chat = new ChatPage(page)
  await expect(chat.message).toBeVisible()
  const chats = page.getByRole('navigation', { name: 'Chats' })
  await expect(chats.getByRole('link')).toHaveCount(12)

  await chats.getByRole('link', { name: 'Ile par raków zamówić?' }).click()
  await expect(page.locator('.katex').first()).toBeVisible()
  await expect(page.getByRole('table')).toContainText('25 059 zł')
  await chats.getByRole('link', { name: 'Best customers this season' }).click()
  await expect(page.locator('pre span[style*="color"]').first()).toBeVisible()
  await chats.getByRole('link', { name: 'Return policy for the German shop' }).click()
  await expect(page.getByText('2/2')).toBeVisible()

  await visit(page, '/settings/users')
  await expect(page.getByRole('row')).toHaveCount(15)
  await expect(page.getByRole('row', { name: /Tomasz Wójcik/ })).toContainText('Sales')
  await expect(page.getByRole('button', { name: 'Approve' })).toBeVisible()

  // Of the month before: on the first of a month there may be nothing yet.
  await visit(page, '/settings/usage?tab=teams')
  await page.getByLabel('Period').selectOption({ index: 5 })
  await expect(page).toHaveURL(/month=/)
  for (const [tab, heading] of [
    ['By user', 'By user'],
    ['By team', 'By team'],
    ['By model', 'By model'],
  ] as const) {
    await page.getByRole('link', { name: tab, exact: true }).click()
    await expect(page.locator('.stale')).toHaveCount(0)
    const table = section(page, heading)
    const total = shown(await table.locator('tfoot td:nth-child(8)').textContent())
    const parts = (await table.locator('tbody tr td:nth-child(8)').allTextContents()).map(shown)
    expect(total).toBeGreaterThan(100_000)
    expect(Math.abs(parts.reduce((sum, part) => sum + part, 0) - total)).toBeLessThanOrEqual(50 * (parts.length + 1))
  }
})

test('an employee sees their own chats and usage, and gets an answer', async ({ page }) => {
  await page.goto('/')
  await page.getByRole('button', { name: 'Sign in as Tomasz Wójcik, an employee' }).click()
  const chat = new ChatPage(page)
  await expect(chat.message).toBeVisible()
  const chats = page.getByRole('navigation', { name: 'Chats' })
  await expect(chats.getByRole('link')).toHaveCount(4)
  await expect(page.getByText('Dwie oferty na kurtki zimowe')).toHaveCount(0)
  await chat.send('Jak podziękować klientowi za zamówienie?')
  await expect(chat.answer.charge).toBeVisible({ timeout: 15_000 })
  await page.goto('/settings/usage?tab=activity')
  await expect(page.getByRole('region', { name: 'Requests' }).getByRole('row').nth(1)).toBeVisible()
  await expect(page.getByText('By user')).toHaveCount(0)
  await expect(page.getByText('Marek Zieliński')).toHaveCount(0)
  await page.goto('/settings/users')
  await expect(page).toHaveURL(/\/settings\/profile$/)
})
