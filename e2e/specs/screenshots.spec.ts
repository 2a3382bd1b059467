// Pictures for looking at, not for comparing: SHOTS=/some/folder npm --prefix e2e test -- screenshots
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BrowserContext, Page } from '@playwright/test'
import { ChatPage } from '../pages/chat'
import { richAnswer, visit } from '../pages/places'
import { createFirstAccount, PolicyCard } from '../pages/settings'
import { admin, expect, openChat, register, test } from '../support/fixtures'
import { Program } from '../support/program'
import { ask, Simulator } from '../support/simulator'

const folder = process.env.SHOTS ?? ''

test.use({ env: { WEBUI_NAME: 'Karpacz Outdoor' } })

const people = ['Jan Nowak', 'Ola Zielińska', 'Piotr Wiśniewski', 'Maria Wójcik', 'Tomasz Lewandowski']
const chats = {
  'Plan for the winter sale': 'Plan the first two weeks of the winter sale',
  'Revenue by customer': 'SQL query for monthly revenue by customer',
  'Smoothing daily orders': 'Explain exponential moving averages with a formula',
  'Oferta na kurtki zimowe': 'Porównaj dwie oferty na kurtki zimowe w tabeli',
  'Worker pool in Go': 'Worker pool in Go with bounded concurrency',
}

/** Fills the workspace like one that is in use. */
async function fill(context: BrowserContext): Promise<void> {
  const post = async (path: string, data: unknown) => {
    const response = await context.request.post(`/api/v1${path}`, { data })
    if (!response.ok()) throw new Error(`${path}: ${await response.text()}`)
    return response.json().catch(() => ({}))
  }
  for (const name of people) {
    const email = `${name.split(' ')[0]?.toLowerCase()}@karpacz.example`
    await post('/users', { name, email, password: 'a long password', role: 'user' })
  }
  const models = ['anthropic/claude-sonnet-4.5', 'openai/gpt-5.1', 'google/gemini-2.5-pro', 'openai/gpt-5-mini']
  for (const [i, [title, content]] of Object.entries(chats).entries()) {
    const [id, message_id, reply_id] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()]
    const model = models[i % models.length]
    await post(`/chats/${id}/messages`, { message_id, reply_id, parent_id: null, content, model })
    await context.request.patch(`/api/v1/chats/${id}`, { data: { title } })
  }
  await context.request.put('/api/v1/budgets', {
    data: { scope: 'company', subject: '', period: 'month', limit: '400', hard: true, alerts: [80, 100] },
  })
}

for (const [size, viewport] of Object.entries({
  1280: { width: 1280, height: 800 },
  390: { width: 390, height: 844 },
})) {
  for (const colorScheme of ['light', 'dark'] as const) {
    test.describe(`${size} ${colorScheme}`, () => {
      test.use({ viewport, colorScheme, hasTouch: size === '390', isMobile: size === '390' })
      test.setTimeout(240_000)

      const shoot = async (page: Page, name: string) => {
        mkdirSync(folder, { recursive: true })
        await page.evaluate(() => document.fonts.ready)
        await page.waitForLoadState('networkidle')
        await page.screenshot({ path: join(folder, `${name}-${size}-${colorScheme}.png`) })
      }

      test('before anybody is in', async ({ context, page }) => {
        await page.goto('/')
        await page.getByRole('heading', { level: 1 }).waitFor()
        await shoot(page, 'setup')
        await page.getByRole('button', { name: 'Create account' }).click()
        await shoot(page, 'setup-errors')
        await register(context)
        await context.clearCookies()
        await page.goto('/')
        await page.getByLabel('E-mail').fill(admin.email)
        await page.getByLabel('Password', { exact: true }).fill('not this one')
        await page.getByRole('button', { name: 'Sign in', exact: true }).click()
        await page.getByRole('alert').waitFor()
        await shoot(page, 'signin')
      })

      test.describe('without a key', () => {
        test.use({ connected: false })
        test('connecting', async ({ context, page, sim }) => {
          await register(context)
          await openChat(page)
          await shoot(page, 'chat-not-connected')
          await page.goto('/settings/connections')
          await page.getByLabel('API key', { exact: true }).fill('sk-or-v1-wrong')
          await page.getByRole('button', { name: 'Verify', exact: true }).click()
          await page.getByRole('alert').waitFor()
          await shoot(page, 'connections-bad')
          await sim.setKey({ key: Simulator.key, limit: 250, limit_reset: 'monthly' })
          await page.getByLabel('API key', { exact: true }).fill(Simulator.key)
          await page.getByRole('button', { name: 'Save and verify' }).click()
          await page.getByText('Key works and is saved').waitFor()
          await shoot(page, 'connections-good')
        })
      })

      test('the chat', async ({ context, page }) => {
        await register(context)
        await fill(context)
        const chat = await openChat(page)
        await shoot(page, 'chat-empty')
        await page.getByRole('button', { name: /^Model: / }).click()
        await page.getByRole('option').first().waitFor()
        await shoot(page, 'picker')
        await page.keyboard.press('Escape')
        const send = async (text: string) => {
          await chat.message.fill(text)
          await page.getByRole('button', { name: 'Send' }).click()
        }
        await send(
          ask('How do I smooth a noisy series of daily orders?', {
            answer: richAnswer,
            reasoning: 'They want a formula.',
          }),
        )
        await expect(chat.answer.charge).toBeVisible()
        await expect(chat.answer.text.locator('pre span[style*="color"]').first()).toBeVisible()
        await shoot(page, 'chat-rich')
        await chat.answer.charge.click()
        await page.getByRole('dialog', { name: 'Charge' }).waitFor()
        await shoot(page, 'charge')
        await page.keyboard.press('Escape')
        await send(ask('Now count slowly', { tokens: 900, delay_ms: 15 }))
        await expect(chat.answer.text).toContainText('t60 ')
        await shoot(page, 'chat-streaming')
        await chat.stop.click()
        await chat.answer.stopped.waitFor()
        await shoot(page, 'chat-stopped')
        await send(ask('And fail', { fault: 'status:502' }))
        await chat.answer.root.getByRole('alert').waitFor()
        await shoot(page, 'chat-failed')
        if (size === '390') {
          await page.getByRole('button', { name: 'Menu' }).click()
          await page.getByRole('dialog', { name: 'Menu' }).waitFor()
          await shoot(page, 'drawer')
          await page.touchscreen.tap(370, 400)
        } else {
          await page.keyboard.press('Control+/')
          await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor()
          await shoot(page, 'shortcuts')
          await page.keyboard.press('Escape')
          await page.keyboard.press('Control+k')
          await page.getByRole('combobox', { name: 'Search chats' }).waitFor()
          await shoot(page, 'search')
          await page.keyboard.press('Escape')
        }
        await context.setOffline(true)
        await page.getByText('Connection lost.').waitFor()
        await shoot(page, 'chat-offline')
        await context.setOffline(false)
      })

      test('the data policy', async ({ context, page }) => {
        await register(context)
        const card = new PolicyCard(page)
        await card.open()
        await card.noTraining.scrollIntoViewIfNeeded()
        await shoot(page, 'policy')
        await card.places('European Economic Area')
        await card.providers('Nebius')
        await expect(card.status).toContainText('can be used')
        await card.saveButton.scrollIntoViewIfNeeded()
        await shoot(page, 'policy-lists')
        await page.getByRole('checkbox', { name: /^Nebius/ }).uncheck()
        await card.providers('OpenAI')
        await page.getByRole('alert').waitFor()
        await card.saveButton.scrollIntoViewIfNeeded()
        await shoot(page, 'policy-refused')
        await page.getByRole('radio', { name: 'All', exact: true }).click()
        await card.save()
        await card.status.scrollIntoViewIfNeeded()
        await shoot(page, 'policy-saved')
        await visit(page, '/settings/data-policy')
        await shoot(page, 'policy-for-users')
        const chat = await openChat(page)
        await shoot(page, 'policy-line')
        await page.getByRole('button', { name: /^Model: / }).click()
        await page.getByRole('option').first().waitFor()
        await shoot(page, 'policy-picker')
        await page.keyboard.press('Escape')
        await chat.message.fill(ask('Hello', { answer: 'Hello.' }))
        await page.getByRole('button', { name: 'Send' }).click()
        await chat.answer.finishedAs('Hello.')
        await shoot(page, 'policy-line-chat')
        await page.goto('/settings/profile')
        await page.getByRole('radio', { name: 'Polski' }).click()
        await visit(page, '/settings/data-policy')
        await shoot(page, 'policy-for-users-polish')
        await visit(page, '/settings/connections')
        await page.getByRole('switch').first().scrollIntoViewIfNeeded()
        await shoot(page, 'policy-polish')
      })

      test('the settings', async ({ context, page }) => {
        await register(context)
        await fill(context)
        for (const path of ['profile', 'appearance', 'api-key', 'data-policy', 'users', 'usage', 'budgets']) {
          await visit(page, `/settings/${path}`)
          await shoot(page, path)
        }
        await visit(page, '/settings/usage?tab=activity')
        await shoot(page, 'usage-activity')
        await page.goto('/settings/users')
        await page.getByRole('button', { name: 'Add person' }).click()
        await page.getByRole('dialog').waitFor()
        await shoot(page, 'add-person')
        await page.keyboard.press('Escape')
        await page.getByRole('button', { name: 'More for Jan Nowak' }).click()
        await page.getByRole('menuitem', { name: 'Disable' }).click()
        await page.getByRole('dialog').waitFor()
        await shoot(page, 'disable-person')
        await page.keyboard.press('Escape')
        await page.goto('/settings/api-key')
        await page.getByRole('button', { name: 'Make a key' }).click()
        await page.getByRole('dialog').getByLabel('Name').fill('Editor')
        await page.getByRole('dialog').getByRole('button', { name: 'Make', exact: true }).click()
        await page.getByText('Your key is ready.').waitFor()
        await shoot(page, 'api-key-made')
        await page.goto('/settings/profile')
        await page.getByRole('radio', { name: 'Polski' }).click()
        await visit(page, '/settings/usage')
        await shoot(page, 'usage-polish')
      })
    })
  }
}

test.describe('over plain HTTP', () => {
  test.use({ host: 'mai.company.test' })

  test('the notice', async ({ page }) => {
    await page.goto('/')
    await page.getByRole('heading', { level: 1 }).waitFor()
    await page.screenshot({ path: join(folder, 'setup-plain.png') })
    await createFirstAccount(page, admin)
    await new ChatPage(page).message.waitFor()
    await page.screenshot({ path: join(folder, 'chat-plain.png') })
  })
})

test('the picture of the README, from the demo', async ({ page }) => {
  const data = mkdtempSync(join(tmpdir(), 'mai-demo-'))
  const demo = await Program.start(
    process.env.MAI_BIN as string,
    ['demo', '--addr', '127.0.0.1:0', '--data', data],
    {},
    /http:\/\/localhost:(\d+)/,
  )
  await page.goto(`http://localhost:${demo.ready}/`)
  await page.getByRole('button', { name: /^Sign in as Anna Kowalczyk/ }).click()
  const chat = new ChatPage(page)
  await chat.row('Cash flow if the container is late').click()
  await expect(chat.answer.text.locator('.katex').first()).toBeVisible()
  await chat.message.blur()
  await chat.answer.charge.click()
  await page.getByRole('dialog', { name: 'Charge' }).waitFor()
  await page.mouse.move(640, 5)
  await page.screenshot({ path: join(folder, 'chat.png') })
  await demo.kill()
  rmSync(data, { recursive: true })
})
