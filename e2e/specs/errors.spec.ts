// What goes wrong is said where it happened, with the way out, and no text that a person wrote is ever lost.
import { ConnectionsPage, signIn, UsagePage } from '../pages/settings'
import { admin, expect, openChat, register, test } from '../support/fixtures'
import { ask, Simulator } from '../support/simulator'

test('over the budget: said inline, the text is kept, a higher limit lets it through', async ({ chat, sim }) => {
  const usage = new UsagePage(chat.page)
  await usage.open()
  await usage.setLimit('0.0001')
  await openChat(chat.page)
  const before = await sim.requests()
  const text = ask('What does this cost?', { answer: 'Little.' })
  await chat.send(text)
  await expect(chat.page.getByRole('alert')).toContainText(/budget/i)
  await expect(chat.page.getByRole('alert')).toContainText('Your text is kept.')
  await expect(chat.message).toHaveValue(text)
  expect(await sim.requests()).toBe(before)
  await chat.page.reload()
  await expect(chat.message).toHaveValue(text)

  await usage.open()
  await usage.changeLimit('100')
  await openChat(chat.page)
  await chat.message.press('Enter')
  await chat.answer.finishedAs('Little.')
  await expect(chat.message).toHaveValue('')
})

const upstream = {
  'status:429': 'Too many requests are running for this model at OpenRouter.',
  'status:502': 'The model is not available just now.',
  'status:402': 'The OpenRouter account has not enough credit for this request.',
  'status:403': 'The spending limit of the OpenRouter key is reached',
  moderation: "The model's provider refused the content of this message.",
  drop_before_headers: 'The connection to the model broke off.',
  error_mid: 'The model is not available just now.',
}
for (const [fault, words] of Object.entries(upstream)) {
  test(`OpenRouter fails with ${fault}: said in the answer, with Retry`, async ({ chat }) => {
    const text = ask('Try this', { fault, tokens: 20 })
    await chat.send(text)
    const problem = chat.answer.root.getByRole('alert')
    await expect(problem).toContainText(words)
    await expect(chat.page.getByRole('article', { name: 'Your message' })).toContainText(text)
    await chat.answer.button('Retry').click()
    await expect(chat.answer.root.getByText('2/2')).toBeVisible()
    await expect(problem).toContainText(words)
  })
}

test('a key that is switched off fails, and Retry works once it is on again', async ({ chat, sim }) => {
  await sim.setKey({ key: Simulator.key, disabled: true })
  await chat.send(ask('Are you there?', { answer: 'Yes.' }))
  await expect(chat.answer.root.getByRole('alert')).toBeVisible()
  await sim.setKey({ key: Simulator.key })
  await chat.answer.button('Retry').click()
  await expect(chat.answer.root.getByText('2/2')).toBeVisible()
  await chat.answer.finishedAs('Yes.')
})

test('a draft survives a reload, per chat', async ({ chat }) => {
  await chat.send(ask('A chat of its own', { answer: 'Yes.' }))
  await chat.answer.finishedAs('Yes.')
  await chat.message.fill('half a thought')
  await chat.page.reload()
  await expect(chat.message).toHaveValue('half a thought')
  await chat.page.getByRole('link', { name: 'New chat' }).click()
  await expect(chat.message).toHaveValue('')
})

test('a message whose answer from the server was lost is sent again, and stored once', async ({ chat, sim }) => {
  const text = ask('Can you hear me now, Anna?', { answer: 'Now I can.' })
  await chat.page.route(
    /\/messages$/,
    async (route) => {
      await route.fetch() // it arrives
      await route.abort()
    },
    { times: 1 },
  )
  await chat.send(text)
  await expect(chat.page.getByRole('alert')).toContainText('Your text is kept.')
  await expect(chat.message).toHaveValue(text)
  await chat.page.getByRole('alert').getByRole('button', { name: 'Retry' }).click()
  await chat.answer.finishedAs('Now I can.')
  await expect(chat.page.getByRole('article', { name: 'Your message' })).toHaveCount(1)
  await expect(chat.row('Hear me now')).toBeVisible()
  expect(await sim.requests()).toBe(2) // the answer and the title
})

test.describe('without a key', () => {
  test.use({ connected: false })

  test('the admin is led to Connections, others are told', async ({ context, page, browser, baseURL }) => {
    await register(context)
    const chat = await openChat(page)
    await page.getByRole('main').getByRole('link', { name: 'Connect OpenRouter' }).click()
    await expect(page).toHaveURL(/\/settings\/connections$/)
    await expect(page.getByText('Not connected')).toBeVisible()
    await expect(chat.message).toBeHidden()

    const ola = { name: 'Ola Nowak', email: 'ola@company.test', password: 'another long one' }
    const made = await context.request.post('/api/v1/users', { data: { ...ola, role: 'user' } })
    expect(made.ok()).toBe(true)
    const other = await browser.newContext({ baseURL })
    const theirs = await other.newPage()
    await theirs.goto('/')
    await signIn(theirs, ola)
    await expect(theirs.getByText('Your admin has not connected a model provider yet.')).toBeVisible()
    await expect(theirs.getByRole('link', { name: 'Connect OpenRouter' })).toHaveCount(0)
    await other.close()
  })

  for (const [what, key, title] of [
    ['a management key', { management: true }, 'This is a management key.'],
    ['a disabled key', { disabled: true }, 'OpenRouter does not know this key.'],
    ['a key whose limit is used up', { limit: 0 }, 'The limit of this key is used up.'],
  ] as const) {
    test(`${what} is explained and not saved`, async ({ context, page, sim }) => {
      await register(context)
      const secret = `sk-or-v1-${'ab'.repeat(32)}`
      await sim.setKey({ key: secret, ...key })
      await page.goto('/settings/connections')
      const connections = new ConnectionsPage(page)
      await connections.key.fill(secret)
      await connections.save()
      await expect(connections.problem).toContainText(title)
      await expect(connections.problem).toContainText('Nothing was saved.')
      await page.reload()
      await expect(page.getByText('Not connected')).toBeVisible()
    })
  }

  test('a wrong address is explained', async ({ context, page, sim }) => {
    await register(context)
    await page.goto('/settings/connections')
    const connections = new ConnectionsPage(page)
    await connections.baseURL.fill(sim.url.replace('/api/v1', '/nothing'))
    await connections.verify(Simulator.key)
    await expect(connections.problem).toContainText('This address does not answer like OpenRouter.')
    await connections.baseURL.fill('http://127.0.0.1:9/api/v1')
    await connections.verify(Simulator.key)
    await expect(connections.problem).toContainText('Nothing listens at this address.')
  })
})

test('wrong credentials are said, and nothing else', async ({ context, page, browser, baseURL }) => {
  await register(context)
  const other = await browser.newContext({ baseURL })
  const theirs = await other.newPage()
  await theirs.goto('/settings/usage')
  await expect(theirs).toHaveURL(/\/signin\?next=/)
  await signIn(theirs, { ...admin, password: 'not this one' })
  await expect(theirs.getByRole('alert')).toBeVisible()
  await signIn(theirs, admin)
  await expect(theirs).toHaveURL(/\/settings\/usage$/)
  await other.close()
  await page.close()
})
