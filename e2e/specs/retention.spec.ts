// What is deleted, and that the books keep every sum: an erased person, and chats that are kept for some days only.
import { UsagePage } from '../pages/settings'
import { expect, openChat, test } from '../support/fixtures'
import { ask } from '../support/simulator'

const ola = { name: 'Ola Nowak', email: 'ola@company.test', password: 'another long one', role: 'user' }

test('an erased person leaves their charges behind, without a name', async ({ chat, context, browser, baseURL }) => {
  const { page } = chat
  expect((await context.request.post('/api/v1/users', { data: ola })).ok()).toBe(true)
  const theirs = await browser.newContext({ baseURL })
  expect((await theirs.request.post('/api/v1/auths/signin', { data: { email: ola.email, password: ola.password } })).ok()).toBe(true)
  const made = await theirs.request.post('/api/v1/auths/api_key')
  const { api_key } = (await made.json()) as { api_key: string }
  const complete = (key: string) =>
    fetch(`${baseURL}/v1/chat/completions`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({
        model: 'openai/gpt-5-mini',
        messages: [{ role: 'user', content: ask('Count', { tokens: 5, cost: '0.001540' }) }],
      }),
    })
  expect((await complete(api_key)).status).toBe(200)

  const usage = new UsagePage(page)
  await page.goto('/settings/usage?tab=users')
  await expect(page.getByRole('row', { name: /Ola Nowak/ })).toContainText('$0.0020')
  await usage.open()
  const before = await usage.figure('Today')

  await page.goto('/settings/users')
  await page.getByRole('button', { name: 'More for Ola Nowak' }).click()
  await page.getByRole('menuitem', { name: 'Erase…' }).click()
  const dialog = page.getByRole('dialog', { name: 'Erase person' })
  const erase = dialog.getByRole('button', { name: 'Erase', exact: true })
  await dialog.getByRole('textbox').fill('somebody@else.test')
  await expect(erase).toBeDisabled()
  await dialog.getByRole('textbox').fill(ola.email)
  await erase.click()
  await expect(dialog).toBeHidden()
  await expect(page.getByRole('row', { name: /Ola Nowak/ })).toHaveCount(0)

  expect((await complete(api_key)).status).toBe(401)
  expect((await theirs.request.get('/api/v1/usage/now')).status()).toBe(401)
  await usage.open()
  expect(await usage.figure('Today')).toBe(before)
  await page.goto('/settings/usage?tab=users')
  await expect(page.getByRole('row', { name: /Deleted user/ })).toContainText('$0.0020')
  await expect(page.getByText('Ola Nowak')).toHaveCount(0)
  await page.goto('/settings/usage?tab=activity')
  await expect(page.getByRole('row', { name: /Deleted user/ })).toHaveCount(1)
  await theirs.close()
})

test('chats are kept for some days, which everybody is told', async ({ chat }) => {
  const { page } = chat
  await chat.send(ask('Count', { tokens: 3 }))
  await expect(chat.answer.charge).toBeVisible()
  await page.goto('/settings/data-policy')
  const card = page.locator('section').filter({ has: page.getByRole('heading', { name: 'How long chats are kept' }) })
  await card.getByRole('radio', { name: 'For some days' }).click()
  await card.getByLabel('Days after the last message').fill('0')
  await expect(card.getByText('Enter a number from 1 to')).toBeVisible()
  await card.getByLabel('Days after the last message').fill('30')
  await card.getByRole('button', { name: 'Save' }).click()
  const asked = page.getByRole('dialog', { name: 'Delete old chats' })
  await expect(asked).toContainText('No chat is that old now.')
  await asked.getByRole('button', { name: 'Delete old chats' }).click()
  await expect(asked).toBeHidden()
  await expect(card.getByRole('status')).toContainText('30 days after its last message')
  await openChat(page)
  await expect(page.getByText(/deleted after 30 days/)).toBeVisible()
})
