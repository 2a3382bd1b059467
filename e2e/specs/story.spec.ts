// The main story, from an empty folder to an exact charge: once on this machine's own name, and once on a host name over
// plain HTTP, where browsers give a page neither __Host- cookies nor the clipboard nor crypto.randomUUID.
import type { Page } from '@playwright/test'
import { ChatPage, expectGrowing, recordText } from '../pages/chat'
import { ConnectionsPage, createFirstAccount, UsagePage } from '../pages/settings'
import { admin, expect, test } from '../support/fixtures'
import { charged, pico, sum } from '../support/money'
import { ask, counted, Simulator } from '../support/simulator'

test.use({ connected: false })

for (const host of ['localhost', 'mai.company.test']) {
  test.describe(`on http://${host}`, () => {
    test.use({ host })

    test('register, connect, chat, reload in mid-answer, exact charge, usage', async ({ page, sim }) => {
      await page.goto('/')
      await expect(page).toHaveURL(/\/setup$/)
      await expectOrigin(page, host)
      await createFirstAccount(page, admin)

      await test.step('connect OpenRouter', async () => {
        await expect(page).toHaveURL(/\/settings\/connections$/)
        const cookies = await page.context().cookies()
        expect(cookies.map(({ name, secure, httpOnly }) => ({ name, secure, httpOnly }))).toEqual([
          { name: 'mai_session', secure: false, httpOnly: true },
        ])
        await expect(page.getByText('Not encrypted.', { exact: true })).toHaveCount(host === 'localhost' ? 0 : 1)
        const connections = new ConnectionsPage(page)
        await expect(connections.baseURL).toHaveValue(sim.url)
        await connections.verify('sk-or-v1-wrong-key-of-somebody-else')
        await expect(connections.problem).toContainText('OpenRouter does not know this key.')
        await expect(connections.problem).toContainText('Nothing was saved.')
        await connections.verify(Simulator.key)
        await expect(page.getByText('Key works', { exact: true })).toBeVisible()
        await connections.save()
        await expect(page.getByText('Key works and is saved')).toBeVisible()
        expect(await page.content()).not.toContain(Simulator.key)
      })

      const chat = new ChatPage(page)
      const whole = counted(150)
      // Half a pico-USD: the product must be rounded up.
      const cost = '0.000123456785'
      await test.step('an answer outlives a reload', async () => {
        await page.getByRole('link', { name: 'Back to chat' }).click()
        const texts = await recordText(page)
        await chat.send(ask('Count for me please Anna', { tokens: 150, delay_ms: 25, cost }))
        await expect(chat.answer.text).toContainText('t20 ')
        await page.reload()
        await expect(chat.answer.text).toContainText('t25 ')
        await expect(chat.stop).toBeVisible()
        await chat.answer.finishedAs(whole)
        expectGrowing(await texts(), whole)
      })

      await test.step('the charge is 1.3 × the bill to the last digit', async () => {
        await expect(chat.row('Count for me please Anna')).toBeVisible() // the title is paid, too
        const { amount, generation } = await chat.answer.exactCharge()
        const line = (await sim.bill()).find((l) => l.id === generation)
        expect(line?.cost).toBe(cost)
        expect(amount).toBe('$0.000160493821')
        expect(pico(amount)).toBe(charged(cost))
      })

      await test.step('usage shows the sum of the bill', async () => {
        const usage = new UsagePage(page)
        const bill = await sim.bill()
        expect(bill.map((l) => l.event)).toEqual(['billed', 'billed'])
        const total = sum(bill.map((l) => charged(l.cost as string)))
        await usage.open()
        expect(await usage.figure('Today')).toBe(total)
        expect(await usage.figure(new Date().toLocaleString('en-GB', { month: 'long', timeZone: 'UTC' }))).toBe(total)
      })
    })

    test('code is copied', async ({ page, context, sim }) => {
      await page.goto('/')
      await createFirstAccount(page, admin)
      const connections = new ConnectionsPage(page)
      await connections.key.fill(Simulator.key)
      await connections.save()
      await expect(page.getByText('Key works and is saved')).toBeVisible()
      await page.goto('/')
      if (host === 'localhost') await context.grantPermissions(['clipboard-read', 'clipboard-write'])
      const chat = new ChatPage(page)
      const code = 'for i in range(3):\n    print(i)  # "<&>"'
      await chat.send(ask('Code', { answer: `Look:\n\n\`\`\`python\n${code}\n\`\`\`\n` }))
      await chat.answer.button('Copy code').click()
      await expect(chat.answer.button('Copied')).toBeVisible()
      await chat.message.press('Control+V')
      await expect(chat.message).toHaveValue(code)
      expect(await sim.requests()).toBeGreaterThan(0)
    })
  })
}

/** What the browser and the page make of the origin. */
async function expectOrigin(page: Page, host: string): Promise<void> {
  const secure = host === 'localhost'
  const found = await page.evaluate(() => ({
    secure: window.isSecureContext,
    uuid: typeof crypto.randomUUID,
    clipboard: typeof navigator.clipboard,
  }))
  const kind = (there: string) => (secure ? there : 'undefined')
  expect(found).toEqual({ secure, uuid: kind('function'), clipboard: kind('object') })
  await expect(page.getByText('Not encrypted yet.')).toHaveCount(secure ? 0 : 1)
}

test.describe('with nothing configured', () => {
  test.use({ env: { OPENROUTER_BASE_URL: '' } })

  test('the address of OpenRouter is already there', async ({ page }) => {
    await page.goto('/')
    await createFirstAccount(page, admin)
    await expect(new ConnectionsPage(page).baseURL).toHaveValue('https://openrouter.ai/api/v1')
  })
})
