// Settings → Usage: what is charged is on every open page at once, and a filter is the same everywhere.
import type { Page } from '@playwright/test'
import { UsagePage } from '../pages/settings'
import { expect, test } from '../support/fixtures'
import { Line } from '../support/line'
import { pico } from '../support/money'
import { ask } from '../support/simulator'

/** A figure among the cards. */
const today = (page: Page) => page.locator('.stat').filter({ has: page.getByText('Today', { exact: true }) }).locator('.figure')

const live = (page: Page) => page.getByRole('status').filter({ hasText: 'Live' })

test('a charge made in one browser is in another within a second', async ({ chat, browser, baseURL, context }) => {
  const other = await browser.newContext({ baseURL, storageState: await context.storageState() })
  const watching = new UsagePage(await other.newPage())
  await watching.open()
  await expect(live(watching.page)).toBeVisible()
  await expect(today(watching.page)).toHaveText('$0.00')
  await watching.page.evaluate(() => {
    const seen = new MutationObserver(() => {
      if (document.querySelector('.stat .figure')?.textContent !== '$0.00') {
        Object.assign(window, { seenAt: Date.now() })
        seen.disconnect()
      }
    })
    seen.observe(document.body, { subtree: true, childList: true, characterData: true })
  })
  await chat.send(ask('Count', { tokens: 5, cost: '0.001540' }))
  await expect(chat.answer.charge).toBeVisible()
  await expect(today(watching.page)).not.toHaveText('$0.00')
  const calls = await (await context.request.get('/api/v1/usage/calls?kind=chat')).json()
  const seenAt = await watching.page.evaluate(() => (window as unknown as { seenAt: number }).seenAt)
  const charged = Date.parse(calls.items[0].occurred_at) + calls.items[0].latency_ms
  console.log(`on the other page ${seenAt - charged} ms after the answer ended`)
  expect(seenAt - charged).toBeLessThan(1_000)
  expect(pico((await today(watching.page).textContent()) ?? '')).toBeGreaterThanOrEqual(pico('$0.002002'))
  await other.close()
})

test('when the stream is lost, the page asks every 30 seconds, and says so', async ({ chat, mai, browser, context }) => {
  const line = await Line.to(mai.port)
  const other = await browser.newContext({ baseURL: `http://localhost:${line.port}`, storageState: await context.storageState() })
  const watching = new UsagePage(await other.newPage())
  await watching.open()
  await expect(live(watching.page)).toBeVisible()
  await watching.page.route('**/api/v1/usage/stream', (route) => route.abort())
  line.cut()
  await expect(watching.page.getByText('Asking every 30 s')).toBeVisible()
  line.mend()
  await chat.send(ask('Count', { tokens: 5, cost: '0.001540' }))
  await expect(chat.answer.charge).toBeVisible()
  await expect(today(watching.page)).not.toHaveText('$0.00', { timeout: 31_000 })
  await expect(watching.page.getByText('Asking every 30 s')).toBeVisible()
  await watching.page.unroute('**/api/v1/usage/stream')
  await expect(live(watching.page)).toBeVisible()
  await other.close()
  await line.close()
})

test('a filter is in the address and the same on every tab; a row and a day filter', async ({ chat }) => {
  const { page } = chat
  await chat.send(ask('Count', { tokens: 5 }))
  await expect(chat.answer.charge).toBeVisible()
  const usage = new UsagePage(page)
  await usage.open()
  const row = page.getByRole('region', { name: 'Days' })
  await row.getByRole('group').focus()
  await page.keyboard.press('End')
  await expect(row.locator('.readout')).toContainText('$0.')
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/from=\d{4}-\d\d-\d\d&to=/)
  await page.getByRole('table').getByRole('link').first().click()
  await expect(page).toHaveURL(/model=/)
  await page.getByRole('link', { name: 'Activity' }).click()
  await expect(page).toHaveURL(/from=.*model=.*tab=activity/)
  await expect(page.getByRole('region', { name: 'Requests' }).getByRole('row')).toHaveCount(3) // the answer and the title
  await page.reload()
  await expect(page.getByRole('region', { name: 'Requests' }).getByRole('row')).toHaveCount(3) // the answer and the title
  await page.getByRole('searchbox').fill('no such thing')
  await expect(page.getByText('No request is like this.')).toBeVisible()
  await page.getByRole('searchbox').fill('')
  await page.getByRole('link', { name: 'Open the chat' }).click()
  await expect(page).toHaveURL(/\/c\//)
})

test("the provider's test is called one, is charged to nobody, and is found by its source", async ({ chat, mai }) => {
  const { page } = chat
  mai.accept()
  await page.goto('/settings/usage?tab=users')
  await expect(page.getByRole('row', { name: 'Your provider' })).toContainText('$0.00')
  await expect(page.getByRole('row', { name: '0 users' })).toBeVisible()
  await page.getByRole('table').getByRole('link', { name: 'Your provider' }).click()
  await expect(page).toHaveURL(/kind=acceptance/)
  await page.getByRole('link', { name: 'Activity' }).click()
  await expect(page.getByRole('row', { name: 'Test by your provider' })).toContainText('$0.00')
  await page.goto('/settings/usage?tab=users&user=11111111-1111-4111-8111-111111111111')
  await expect(page.getByLabel('User', { exact: true })).toContainText('Unknown user')
})
