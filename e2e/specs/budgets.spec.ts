// Budgets: set by an admin for everybody, seen by those they limit, and enforced in words.
import { Axe, phrases } from '../support/axe'
import { signIn } from '../pages/settings'
import { expect, openChat, register, test } from '../support/fixtures'
import { ask } from '../support/simulator'

const ola = { name: 'Ola Nowak', email: 'ola@company.test', password: 'another long one' }

test('an admin budgets a team and a user; the user is told before and at the end', async ({ context, page, browser, baseURL }) => {
  await register(context)
  const made = await context.request.post('/api/v1/users', { data: { ...ola, role: 'user' } })
  expect(made.ok()).toBe(true)

  await page.goto('/settings/budgets')
  await expect(page.getByText('There is no budget yet.')).toBeVisible()
  const create = async (whom: string, subject: string | null, period: string, limit: string) => {
    await page.getByRole('button', { name: 'New budget' }).click()
    const dialog = page.getByRole('dialog', { name: 'New budget' })
    await dialog.getByRole('radio', { name: whom }).click()
    if (subject) await dialog.getByLabel(whom.replace('A ', '').replace(/^./, (c) => c.toUpperCase()), { exact: true }).selectOption({ label: subject })
    await dialog.getByRole('radio', { name: period }).click()
    await dialog.getByLabel('Limit, USD').fill(limit)
    await dialog.getByRole('button', { name: 'Create' }).click()
    await expect(dialog).toBeHidden()
  }
  await create('Company', null, 'Month', '500')
  await create('A team', 'Everyone', 'Week', '80')
  await create('A user', 'Ola Nowak', 'Day', '0.02')
  const rows = page.getByRole('list', { name: 'Budgets' }).getByRole('listitem')
  await expect(rows).toHaveCount(3)
  await expect(rows.nth(2)).toContainText('$0.02')
  await expect(rows.nth(2)).toContainText('per day')

  // Deleted, and taken back.
  await page.getByRole('button', { name: 'More for Ola Nowak' }).click()
  await page.getByRole('menuitem', { name: 'Delete' }).click()
  await expect(rows).toHaveCount(2)
  await page.getByRole('button', { name: 'Undo' }).last().click()
  await expect(rows).toHaveCount(3)

  const theirs = await (await browser.newContext({ baseURL })).newPage()
  await theirs.goto('/')
  await signIn(theirs, ola)
  await theirs.getByRole('textbox', { name: 'Message', exact: true }).waitFor()
  const chat = await openChat(theirs)
  await expect(theirs.getByText('Your budget per day')).toBeHidden()
  await chat.message.fill(ask('Count', { tokens: 4, cost: '0.0142' }))
  await chat.message.press('Enter')
  await expect(theirs.getByText('$0.0185')).toBeVisible()
  await theirs.reload()
  await expect(theirs.getByText('Your budget per day')).toBeVisible()

  await context.request.put('/api/v1/budgets', {
    data: { scope: 'user', subject: (await made.json()).id, period: 'day', limit: '0.01', hard: true, alerts: [] },
  })
  await chat.message.fill('And now?')
  await chat.message.press('Enter')
  await expect(theirs.getByText(/Your own budget for today is used up\. It resets on/)).toBeVisible()

  await theirs.goto('/settings/budgets')
  await expect(theirs.getByText("Your team's budget")).toBeVisible()
  await expect(theirs.getByText('$80')).toBeHidden()
  await expect(theirs.getByText('It is used up.')).toBeVisible()
  await theirs.context().close()
})

for (const language of ['en', 'pl']) {
  test(`budgets are accessible, ${language}`, async ({ context, page }, info) => {
    const say = phrases(language)
    await register(context)
    await page.addInitScript((value) => localStorage.setItem('mai.locale', value), language)
    for (const [scope, subject, period, hard] of [
      ['company', '', 'month', true],
      ['team', 'everyone', 'week', false],
    ] as const) {
      const set = await context.request.put('/api/v1/budgets', { data: { scope, subject, period, limit: '120', hard, alerts: [80] } })
      expect(set.ok()).toBe(true)
    }
    const axe = new Axe(page, language)
    await page.goto('/settings/budgets')
    await page.getByRole('heading', { name: say('The whole company') }).waitFor()
    await axe.check('budgets')
    await page.screenshot({ path: info.outputPath('budgets.png') })
    await page.setViewportSize({ width: 390, height: 844 })
    await page.screenshot({ path: info.outputPath('budgets-phone.png') })
    await page.setViewportSize({ width: 1280, height: 800 })
    await page.getByRole('button', { name: say('Set up: {name}').replace('{name}', say('E-mail')) }).click()
    await page.getByRole('dialog').waitFor()
    await axe.check('alerts by e-mail')
    await page.keyboard.press('Escape')
    await page.getByRole('button', { name: say('New budget') }).click()
    await page.getByRole('dialog').waitFor()
    await axe.check('a new budget')
    await page.screenshot({ path: info.outputPath('new-budget.png') })
  })
}
