// An answer belongs to the server: other tabs, a lost network, a stop and a killed server neither lose nor repeat text.
import { ChatPage, expectGrowing, recordText } from '../pages/chat'
import { expect, test } from '../support/fixtures'
import { Line } from '../support/line'
import { charged, pico } from '../support/money'
import { ask, counted } from '../support/simulator'

const slowly = (tokens: number) => ask('Count slowly for me', { tokens, delay_ms: 30 })

test('a second tab follows the same answer', async ({ chat, context }) => {
  await chat.send(slowly(150))
  await expect(chat.answer.text).toContainText('t10 ')
  const second = new ChatPage(await context.newPage())
  const texts = await recordText(second.page)
  await second.page.goto(chat.page.url())
  await expect(second.answer.text).toContainText('t20 ')
  await expect(second.stop).toBeVisible()
  await second.answer.finishedAs(counted(150))
  await chat.answer.finishedAs(counted(150))
  expectGrowing(await texts(), counted(150))
})

test('an answer that starts in another tab appears, too', async ({ chat, context }) => {
  await chat.send(ask('A first one', { answer: 'First.' }))
  await chat.answer.finishedAs('First.')
  const second = new ChatPage(await context.newPage())
  await second.page.goto(chat.page.url())
  await second.answer.finishedAs('First.')
  await chat.send(ask('A second one', { tokens: 80, delay_ms: 30 }))
  await expect(second.answers).toHaveCount(2)
  await second.answer.finishedAs(counted(80))
})

test('stopping keeps the text, charges exactly, and offers to go on', async ({ chat, sim }) => {
  await chat.send(slowly(300))
  await expect(chat.answer.text).toContainText('t12 ')
  await chat.stop.click()
  await expect(chat.answer.stopped).toBeVisible()
  const kept = (await chat.answer.text.textContent()) ?? ''
  expect(counted(300).startsWith(kept)).toBe(true)
  expect(kept.length).toBeLessThan(counted(300).length)

  await test.step('its charge becomes exact', async () => {
    // What broke off is asked for by its id, a little later.
    await expect(chat.answer.charge).toHaveText(/^\$/, { timeout: 30_000 })
    const { amount, generation } = await chat.answer.exactCharge()
    const line = (await sim.bill()).find((l) => l.id === generation)
    expect(line?.state).toBe('aborted')
    expect(pico(amount)).toBe(charged(line?.cost as string))
  })

  await test.step('it stays so after a reload, and goes on', async () => {
    await chat.page.reload()
    await expect(chat.answer.stopped).toBeVisible()
    expect(await chat.answer.text.textContent()).toBe(kept)
    await expectContinued(chat, kept)
  })
})

test('an answer that is done before the page learns that it began is not shown as running', async ({ chat, sim }) => {
  await chat.page.route(/\/messages$/, async (route) => {
    const response = await route.fetch()
    await expect.poll(async () => (await sim.bill()).filter((l) => l.event === 'billed').length).toBe(2)
    await route.fulfill({ response })
  })
  await chat.send(ask('A quick question for all', { answer: 'Quick.' }))
  await chat.answer.finishedAs('Quick.')
  await expect(chat.stop).toBeHidden()
  await expect(chat.row('Quick question for all')).toBeVisible() // and nothing says that it is running
})

test.describe('over a line that breaks', () => {
  let line: Line
  test.use({
    baseURL: async ({ mai }, use) => {
      line = await Line.to(mai.port)
      await use(`http://localhost:${line.port}`)
      await line.close()
    },
  })

  test('a lost network is said, and the answer goes on', async ({ chat }) => {
    const banner = chat.page.getByText('Connection lost. The answer goes on; you will see it when you are back.')
    const texts = await recordText(chat.page)
    await chat.page.reload()
    await chat.send(slowly(200))
    await expect(chat.answer.text).toContainText('t15 ')
    line.cut()
    await expect(banner).toBeVisible()
    line.mend()
    await expect(banner).toBeHidden()
    await chat.answer.finishedAs(counted(200))
    expectGrowing(await texts(), counted(200))
  })
})

test('a browser that goes offline says so', async ({ chat, context }) => {
  const banner = chat.page.getByText('Connection lost.')
  await chat.send(ask('Wait for me', { answer: 'Here.' }))
  await chat.answer.finishedAs('Here.')
  await context.setOffline(true)
  await expect(banner).toBeVisible()
  await context.setOffline(false)
  await expect(banner).toBeHidden()
})

test('a killed server leaves what was written, and goes on from there', async ({ chat, mai, sim }) => {
  await chat.send(ask('Count slowly for me', { tokens: 300, delay_ms: 30, cost: '0.000777' }))
  await expect(chat.answer.text).toContainText('t20 ')
  await mai.kill()
  await mai.restart()
  await expect(chat.answer.interrupted).toBeVisible({ timeout: 30_000 })
  const kept = (await chat.answer.text.textContent()) ?? ''
  expect(counted(300).startsWith(kept)).toBe(true)
  expect(kept).toContain('t5 ')

  await expect(chat.answer.charge).toHaveText(/^\$/, { timeout: 30_000 })
  const { amount, generation } = await chat.answer.exactCharge()
  expect((await sim.bill()).find((l) => l.id === generation)?.cost).toBe('0.000777')
  expect(pico(amount)).toBe(charged('0.000777'))

  await expectContinued(chat, kept)
})

/** Continues an answer and expects more text after the kept one, in the same message. */
async function expectContinued(chat: ChatPage, kept: string): Promise<void> {
  await chat.answer.button('Continue').click()
  await expect(chat.answer.button('Continue')).toBeHidden()
  await expect(chat.answer.root).toHaveAttribute('aria-busy', 'false')
  const text = (await chat.answer.text.textContent()) ?? ''
  expect(text.startsWith(kept)).toBe(true)
  expect(text.length).toBeGreaterThan(kept.length + 20)
  await expect(chat.answers).toHaveCount(1)
}

test('the list of chats is the same in every tab', async ({ chat, context }) => {
  const second = new ChatPage(await context.newPage())
  await second.page.goto('/')
  await chat.send(ask('Offer for winter hiking boots', { answer: 'Yes.' }))
  await expect(chat.row('Offer for winter hiking boots')).toBeVisible()
  await expect(second.row('Offer for winter hiking boots')).toBeVisible()

  await second.menu('Offer for winter hiking boots', 'Rename')
  await second.page.getByRole('textbox', { name: 'Chat title' }).fill('Boots for winter')
  await second.page.keyboard.press('Enter')
  await expect(second.row('Boots for winter')).toBeVisible()
  await expect(chat.row('Boots for winter')).toBeVisible()

  await chat.page.bringToFront() // the browser is slow to move the mouse in a tab behind another
  await chat.menu('Boots for winter', 'Delete')
  await expect(chat.row('Boots for winter')).toBeHidden()
  await expect(second.row('Boots for winter')).toBeHidden()
  await chat.page.getByRole('button', { name: 'Undo' }).click()
  await expect(chat.row('Boots for winter')).toBeVisible()
  await expect(second.row('Boots for winter')).toBeVisible()
  await expect(chat.answer.text).toHaveText('Yes.')
})

test('a chat that begins while another tab is opening is in its list, too', async ({ chat, context }) => {
  const second = new ChatPage(await context.newPage())
  const begun = (async () => {
    await second.page.waitForRequest(/\/api\/v1\/chats\?/)
    await chat.send(ask('Offer for winter hiking boots', { answer: 'Yes.' }))
    await expect(chat.row('Offer for winter hiking boots')).toBeVisible()
  })()
  await second.page.route(
    /\/api\/v1\/chats\?/,
    async (route) => {
      const response = await route.fetch() // the list without it
      await begun
      await route.fulfill({ response })
    },
    { times: 1 },
  )
  await second.page.goto('/')
  await begun
  await expect(second.row('Offer for winter hiking boots')).toBeVisible()
})

test('what is sent while the workspace is being updated goes out on its own, once, also after a reload', async ({
  chat,
  context,
  mai,
}) => {
  const notice = chat.page.getByText('The workspace is being updated.')
  await test.step('the update begins', async () => {
    await chat.send(ask('Before', { answer: 'Earlier.' }))
    await chat.answer.finishedAs('Earlier.')
    mai.drain('0s')
    await expect(notice).toBeVisible()
  })
  await test.step('a message waits, and survives a reload', async () => {
    await chat.message.fill(ask('During', { answer: 'Later.' }))
    await chat.message.press('Enter')
    await expect(chat.page.getByText('Sent after the update.')).toBeVisible()
    await chat.page.reload()
    await expect(notice).toBeVisible()
    await expect(chat.page.getByText('Sent after the update.')).toBeVisible()
    await expect(chat.answers).toHaveCount(1)
  })
  const second = new ChatPage(await context.newPage())
  await test.step('another tab does not send it, too', async () => {
    await second.page.goto(chat.page.url())
    await expect(second.message).toHaveValue(/^During/)
    await second.message.fill('')
  })
  await test.step('the new release takes over', async () => {
    await mai.kill()
    await mai.restart()
    await expect(chat.answers).toHaveCount(2)
    await chat.answer.finishedAs('Later.')
    await expect(notice).toBeHidden()
    await expect(chat.message).toHaveValue('')
    await expect(second.answers).toHaveCount(2)
  })
})

test('another version of an answer, and of a question, is made after the workspace was being updated', async ({ chat, mai }) => {
  const waits = chat.page.getByText('The answer begins after the update.')
  await chat.send(ask('Before', { answer: 'Earlier.' }))
  await chat.answer.finishedAs('Earlier.')
  mai.drain('0s')
  await expect(chat.page.getByText('The workspace is being updated.')).toBeVisible()
  await chat.answer.button('Regenerate').click()
  await expect(waits).toBeVisible()
  mai.drain('off')
  await expect(chat.answer.root.getByText('2/2')).toBeVisible()
  await expect(waits).toBeHidden()
  await chat.answer.finishedAs('Earlier.')

  await test.step('so is one of a question', async () => {
    mai.drain('0s')
    await expect(chat.page.getByText('The workspace is being updated.')).toBeVisible()
    await chat.page.getByRole('button', { name: 'Edit message' }).click()
    await chat.page.getByRole('textbox', { name: 'Edit message' }).fill(ask('Changed', { answer: 'Another.' }))
    await chat.page.keyboard.press('Enter')
    await expect(chat.page.getByText('Sent after the update.')).toBeVisible()
    mai.drain('off')
    await expect(chat.answer.text).toHaveText('Another.')
  })
})
