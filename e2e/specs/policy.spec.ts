// The data policy: decided by an admin, read by everybody, and on every request that leaves.
import type { Browser, Page } from '@playwright/test'
import { ChatPage } from '../pages/chat'
import { visit } from '../pages/places'
import { PolicyCard, signIn } from '../pages/settings'
import { expectAccessible } from '../support/axe'
import { expect, openChat, register, test } from '../support/fixtures'
import { ask, Simulator } from '../support/simulator'

const ola = { name: 'Ola Nowak', email: 'ola@company.test', password: 'another long one' }

/** A page of an ordinary user, whom the admin has added. */
async function olasPage(admin: Page, browser: Browser, baseURL: string | undefined): Promise<Page> {
  expect((await admin.request.post('/api/v1/users', { data: { ...ola, role: 'user' } })).ok()).toBe(true)
  const page = await (await browser.newContext({ baseURL })).newPage()
  await page.goto('/')
  await signIn(page, ola)
  await expect(new ChatPage(page).message).toBeVisible()
  return page
}

test('by keys alone: a condition is switched on, saved, and on the wire of the next message', async ({ chat, sim }) => {
  const { page } = chat
  await chat.send(ask('Before', { answer: 'Yes.' }))
  await chat.answer.finishedAs('Yes.')
  expect(await sim.lastProvider()).toMatchObject({ data_collection: 'deny' })
  await expect(page.getByText('Not used for training')).toBeVisible()

  const card = new PolicyCard(page)
  await card.open()
  await expect(card.noTraining).toBeChecked()
  const tabTo = async (what: ReturnType<Page['getByRole']>) => {
    for (let i = 0; i < 40; i++) {
      if (await what.evaluate((e) => e === document.activeElement)) return
      await page.keyboard.press('Tab')
    }
    throw new Error('Tab never got there')
  }
  await tabTo(card.zeroRetention)
  await page.keyboard.press('Space')
  await expect(card.zeroRetention).toBeChecked()
  await expect(card.status).toContainText('models can be used')
  await tabTo(page.getByRole('radio', { name: 'Anywhere' }))
  await page.keyboard.press('ArrowRight')
  await expect(card.status).toHaveText('Not saved yet. Choose at least one.')
  await tabTo(page.getByRole('checkbox', { name: 'European Economic Area' }))
  await page.keyboard.press('Space')
  await expect(card.status).toContainText('providers are allowed')
  await tabTo(card.saveButton)
  await page.keyboard.press('Enter')
  await expect(card.status).toContainText('Saved. It applies from the next message on.')

  await openChat(page)
  await expect(page.getByText('processed only in: European Economic Area')).toBeVisible()
  await chat.send(ask('After', { answer: 'Yes.' }))
  await chat.answer.finishedAs('Yes.')
  expect(await sim.lastProvider()).toMatchObject({ data_collection: 'deny', zdr: true, only: ['mistral', 'nebius'] })
})

test('what nobody satisfies is refused before it is saved, and Discard takes it back', async ({ chat, sim }) => {
  const card = new PolicyCard(chat.page)
  await card.open()
  await card.places('European Economic Area')
  await card.providers('OpenAI')
  await expect(chat.page.getByRole('alert')).toContainText('None of the chosen providers has all its data centres')
  await expect(card.saveButton).toBeDisabled()
  await chat.page.getByRole('button', { name: 'Discard' }).click()
  await expect(chat.page.getByRole('alert')).toHaveCount(0)
  await expect(card.saveButton).toHaveCount(0)
  await openChat(chat.page)
  await chat.send(ask('Still', { answer: 'Yes.' }))
  await chat.answer.finishedAs('Yes.')
  expect((await sim.lastProvider()).only).toBeUndefined()
})

test('what is not saved says so from the first change, and is not lost in silence', async ({ chat }) => {
  const { page } = chat
  const card = new PolicyCard(page)
  await card.open()
  await page.getByRole('radio', { name: 'Chosen places' }).click()
  await expect(card.status).toHaveText('Not saved yet. Choose at least one.')
  await expect(card.saveButton).toBeDisabled()

  const leave = page.getByRole('dialog', { name: 'Leave without saving' })
  await page.getByRole('link', { name: 'Users' }).click()
  await leave.getByRole('button', { name: 'Cancel' }).click()
  await expect(card.status).toContainText('Not saved yet.')
  await page.keyboard.press('Control+Shift+O')
  await expect(leave).toBeVisible()
  await page.keyboard.press('Escape')
  await expect(leave).toBeHidden()

  let asked = 0
  page.on('dialog', (dialog) => {
    asked += dialog.type() === 'beforeunload' ? 1 : 0
    void dialog.dismiss()
  })
  await page.evaluate(() => location.reload())
  await expect.poll(() => asked).toBe(1)
  await expect(card.status).toContainText('Not saved yet.')

  await page.getByRole('link', { name: 'Users' }).click()
  await leave.getByRole('button', { name: 'Leave' }).click()
  await expect(page.getByRole('heading', { name: 'Users', level: 1 })).toBeVisible()
  await page.getByRole('link', { name: 'Connections' }).click()
  await expect(card.noTraining).toBeVisible()
  await expect(card.saveButton).toHaveCount(0)
})

test('a user reads it in plain words, in both languages, and sees no model that is ruled out', async ({
  chat,
  browser,
  baseURL,
}) => {
  const { page } = chat
  const card = new PolicyCard(page)
  await card.open()
  await card.noTraining.uncheck()
  await card.providers('Mistral', 'Nebius')
  await card.save()

  await page.goto('/')
  await page.getByRole('button', { name: /^Model: / }).click()
  const ruledOut = page.getByRole('option', { name: /GPT-5 Mini/ })
  await page.getByRole('combobox', { name: 'Search models' }).fill('gpt-5 mini')
  await expect(ruledOut).toContainText('Data policy: no allowed provider')
  await expect(ruledOut).toHaveAttribute('aria-disabled', 'true')

  const theirs = await olasPage(page, browser, baseURL)
  await expect(theirs.getByText('May be used for training')).toBeVisible()
  await theirs.getByRole('button', { name: /^Model: / }).click()
  await expect(theirs.getByRole('option')).toHaveCount(4) // two that Mistral and Nebius serve, two without a price
  await theirs.keyboard.press('Escape')
  await theirs.getByRole('link', { name: 'Data policy' }).click()
  await expect(theirs.getByRole('heading', { name: 'Data policy', level: 1 })).toBeVisible()
  await expect(theirs.getByText('Providers may train models on what you write.')).toBeVisible()
  await expect(theirs.getByText('Mistral (France) and Nebius (Netherlands)')).toBeVisible()
  await expect(theirs.getByRole('link', { name: 'Change the policy' })).toHaveCount(0)
  await theirs.goto('/settings/profile')
  await theirs.getByRole('radio', { name: 'Polski' }).click()
  await visit(theirs, '/settings/data-policy')
  await expect(theirs.getByText('Dostawcy mogą trenować modele na tym, co piszesz.')).toBeVisible()
  await expect(theirs.getByText('Mistral (Francja) i Nebius (Holandia)')).toBeVisible()
  await theirs.context().close()
})

test('a key that is refused: the user is told whom to tell, the admin what to do', async ({
  chat,
  sim,
  browser,
  baseURL,
}) => {
  const theirs = await olasPage(chat.page, browser, baseURL)
  await sim.setKey({ key: Simulator.key, disabled: true })
  for (const [who, says] of [
    [chat, 'Save a valid key in Settings'],
    [new ChatPage(theirs), 'Tell your admin.'],
  ] as const) {
    await who.send('Hello')
    await expect(who.answer.root.getByRole('alert')).toContainText(says)
  }
  await expect(theirs.getByText('Settings → Connections')).toHaveCount(0)
  await theirs.context().close()
})

test('OpenRouter rules a model out by itself: said like our own refusal', async ({ context, page }) => {
  await register(context)
  await page.addInitScript(() => localStorage.setItem('mai.model', '"meta-llama/llama-3.3-70b-instruct:free"'))
  const chat = await openChat(page)
  await expect(page.getByRole('button', { name: /^Model: Llama/ })).toBeVisible()
  await chat.send('Hello')
  await expect(chat.answer.root.getByRole('alert')).toContainText('The data policy of this workspace')
})

for (const colorScheme of ['light', 'dark'] as const) {
  for (const language of ['English', 'Polski']) {
    test.describe(`${colorScheme}, ${language}`, () => {
      test.use({ colorScheme })

      test('axe finds nothing on the card and the page', async ({ context, page }) => {
        await register(context)
        await page.goto('/settings/profile')
        await page.getByRole('radio', { name: language }).click()
        await visit(page, '/settings/connections')
        await page.getByRole('radio').nth(1).click()
        await page.getByRole('radio').nth(3).click()
        await page.getByRole('checkbox').first().check()
        await page.getByRole('checkbox', { name: /^OpenAI/ }).check()
        await page.getByRole('alert').waitFor()
        await expectAccessible(page, 'a policy that is refused')
        await page.getByRole('checkbox', { name: /^Nebius/ }).check()
        await expect(page.getByRole('alert')).toHaveCount(0)
        await expectAccessible(page, 'a changed policy')
        await page.locator('form').nth(1).getByRole('button').last().click()
        await expect(page.locator('.saved')).toBeVisible()
        await expectAccessible(page, 'a saved policy')
        await visit(page, '/settings/data-policy')
        await expectAccessible(page, 'the policy in words')
      })
    })
  }
}
