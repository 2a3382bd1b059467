// Alerts of budgets: in the app, once, until somebody takes note, and to a webhook that was set up on the page.
import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, openChat, register, test } from '../support/fixtures'
import { ask } from '../support/simulator'

/** A receiver of webhooks that says no to the first, and keeps all. */
async function receiver() {
  const got: { id: string; signed: string; signature: string; body: { type: string; data: { percent: number; text: string } } }[] = []
  let refuse = 0
  const server = createServer((request, reply) => {
    let text = ''
    request.on('data', (part) => (text += part))
    request.on('end', () => {
      const header = (name: string) => String(request.headers[`webhook-${name}`])
      got.push({ id: header('id'), signed: `${header('id')}.${header('timestamp')}.${text}`, signature: header('signature'), body: JSON.parse(text) })
      reply.statusCode = refuse-- > 0 ? 500 : 204
      reply.end()
    })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return {
    got,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    refuseNext: () => {
      refuse = 1
    },
    close: () => new Promise((done) => server.close(done)),
  }
}

test.use({ env: { MAI_LIMITS_OVER: '20' } })

test('an alert is told in the app and to a webhook, each once', async ({ context, page }) => {
  const hook = await receiver()
  await register(context)
  await page.goto('/settings/budgets')
  await page.getByRole('button', { name: 'Set up: Webhook' }).click()
  const dialog = page.getByRole('dialog', { name: 'Alerts by webhook' })
  await dialog.getByLabel('Address').fill(hook.url)
  await dialog.getByRole('button', { name: 'Save' }).click()
  const secret = await page.getByLabel('Secret', { exact: true }).inputValue()
  const signature = (text: string) => `v1,${createHmac('sha256', Buffer.from(secret.slice(6), 'base64')).update(text).digest('base64')}`

  await page.getByRole('button', { name: 'Send a test: Webhook' }).click()
  await expect(page.getByText('The test is sent.')).toBeVisible()
  expect(hook.got.map((w) => w.body.data.percent)).toEqual([0])
  hook.refuseNext()
  await page.getByRole('button', { name: 'Send a test: Webhook' }).click()
  await expect(page.getByRole('main').getByText(/500/)).toBeVisible()
  await page.getByRole('button', { name: 'Copy the secret' }).click()

  hook.got.length = 0
  await context.request.put('/api/v1/budgets', {
    data: { scope: 'company', subject: '', period: 'day', limit: '0.02', hard: true, alerts: [50] },
  })
  const chat = await openChat(page)
  const strip = page.locator('.strip').filter({ hasText: 'The whole company' })
  await expect(strip).toBeHidden()
  await chat.send(ask('Count', { tokens: 4, cost: '0.0142' }))
  await expect(chat.answer.charge).toBeVisible()
  await page.reload()
  await expect(strip).toContainText('50% of $0.02 is spent')
  await expect.poll(() => hook.got.length, { timeout: 30_000 }).toBe(1)
  const told = hook.got[0]
  expect(told?.body).toMatchObject({ type: 'budget.alert', data: { percent: 50 } })
  expect(told?.signature).toBe(signature(told?.signed ?? ''))

  await strip.getByRole('button', { name: 'Dismiss' }).click()
  await expect(strip).toBeHidden()
  await page.reload()
  await chat.message.waitFor()
  await expect(strip).toBeHidden()
  await chat.send('This one does not fit.')
  await expect(page.getByRole('alert')).toContainText(/budget/i)
  await page.reload()
  await expect(strip).toContainText('a request was refused')
  await strip.getByRole('link', { name: 'Budgets' }).click()
  await expect(page.getByRole('list', { name: 'Alerts' }).getByRole('listitem')).toHaveCount(2)
  await expect.poll(() => hook.got.map((w) => w.body.data.percent), { timeout: 30_000 }).toEqual([50, 0])

  await page.getByRole('button', { name: 'Remove: Webhook' }).click()
  await page.getByRole('dialog', { name: 'Remove the webhook' }).getByRole('button', { name: 'Remove' }).click()
  await expect(page.getByRole('button', { name: 'Remove: Webhook' })).toBeHidden()
  await hook.close()
})
