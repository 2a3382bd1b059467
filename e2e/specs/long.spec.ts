// Long chats: they open at their end, only what is near the window is in the page, and wherever one goes, no message is
// missing or there twice.
import type { Page } from '@playwright/test'
import type { ChatPage } from '../pages/chat'
import { expect, openChat, register, test } from '../support/fixtures'
import { ask, counted } from '../support/simulator'

interface Shown {
  /** Places of the messages in the page, in the chat: question 1 is 1, its answer 2, question 2 is 3. */
  inPage: number[]
  inWindow: number[]
  elements: number
}

/** What of the thread is in the page, and what of that is in the window, from top to bottom. */
const look = (page: Page): Promise<Shown> =>
  page.evaluate(() => {
    const window = (document.querySelector('.thread') as Element).getBoundingClientRect()
    const rows = [...document.querySelectorAll('.thread article')].map((article) => {
      const [, kind, number] = /(Question|Answer) (\d+):/.exec(article.textContent ?? '') ?? []
      const box = article.getBoundingClientRect()
      return { place: Number(number) * 2 - (kind === 'Question' ? 1 : 0), top: box.top, bottom: box.bottom }
    })
    rows.sort((a, b) => a.top - b.top)
    return {
      inPage: rows.map((row) => row.place),
      inWindow: rows.filter((row) => row.bottom > window.top && row.top < window.bottom).map((row) => row.place),
      elements: document.getElementsByTagName('*').length,
    }
  })

/** Waits until the thread has not moved for three frames. */
const settled = (page: Page) =>
  page.evaluate(async () => {
    const thread = document.querySelector('.thread') as Element
    for (let still = 0, last = -1; still < 3; last = thread.scrollTop) {
      await new Promise(requestAnimationFrame)
      still = thread.scrollTop === last ? still + 1 : 0
    }
  })

/** Presses a key some times and returns all messages that were in the window, in the order of the chat. */
async function travel(page: Page, key: string, times: number): Promise<number[]> {
  const seen = new Set<number>()
  for (let i = 0; i < times; i++) {
    const { inPage, inWindow, elements } = await look(page)
    expect(inPage, 'neither a gap nor a repetition').toEqual(inPage.map((_, n) => (inPage[0] as number) + n))
    expect(inWindow.length).toBeGreaterThan(0)
    expect(elements).toBeLessThanOrEqual(3_000)
    for (const place of inWindow) seen.add(place)
    await page.keyboard.press(key)
    await settled(page)
  }
  return [...seen].sort((a, b) => a - b)
}

test('ten thousand messages, by keyboard', async ({ context, page, mai }) => {
  test.slow() // two hundred keys
  const id = await mai.addLongChat(await register(context), 10_000)
  const chat = await openChat(page)
  await chat.row(/^Question 1:/).click()
  await expect(page.getByText('Answer 5000:')).toBeInViewport()
  expect((await look(page)).inPage.at(-1)).toBe(10_000)

  await page.getByRole('region', { name: 'Messages' }).focus()
  const up = await travel(page, 'PageUp', 80)
  expect(up).toEqual(up.map((_, n) => (up[0] as number) + n))
  expect(up.at(-1)).toBe(10_000)
  expect(up[0]).toBeLessThan(9_880) // beyond what was loaded at first
  await expect(page.getByRole('button', { name: 'Jump to latest' })).toBeVisible()

  await expect(async () => {
    await page.keyboard.press('Home')
    expect((await look(page)).inWindow[0]).toBe(1)
  }).toPass({ intervals: [50] })
  const down = await travel(page, 'PageDown', 30)
  expect(down).toEqual(down.map((_, n) => 1 + n))
  expect(down.length).toBeGreaterThan(50)

  await page.getByRole('button', { name: 'Jump to latest' }).click()
  await expect(page.getByText('Answer 5000:')).toBeInViewport()
  await expect(page.getByRole('button', { name: 'Jump to latest' })).toBeHidden()

  await test.step('what is said now goes to its end', async () => {
    await chat.send(ask('One more', { answer: 'The end.' }))
    await expect(chat.answer.text).toHaveText('The end.')
    await expect(chat.answer.text).toBeInViewport()
    expect(page.url()).toContain(id)
  })
})

test('who reads further up is left there while an answer grows and when it ends', async ({ chat, page }) => {
  await chat.send(ask('A long one', { tokens: 900 }))
  await chat.answer.finishedAs(counted(900))
  await chat.send(ask('Count slowly for me', { tokens: 150, delay_ms: 20 }))
  await expect(chat.answer.text).toContainText('t20 ')
  await page.getByRole('region', { name: 'Messages' }).hover()
  await page.mouse.wheel(0, -500)
  const jump = page.getByRole('button', { name: 'Jump to latest' })
  await expect(jump).toBeVisible()
  const place = await top(chat)
  await chat.answer.finishedAs(counted(150))
  expect(await top(chat)).toBe(place)
  await jump.click()
  await expect(jump).toBeHidden()
  await expect(chat.answer.charge).toBeInViewport()
})

test('of a long answer only what is near the window is in the page, and its height stays', async ({ chat, page }) => {
  const section = (n: number) => `## Part ${n}\n\nIt is $x_${n}^2 + \\frac{${n}}{7}$.\n\n\`\`\`go\nfunc f${n}() { return }\n\`\`\`\n\n`
  const whole = Array.from({ length: 60 }, (_, i) => section(i + 1)).join('')
  await chat.send(ask('Everything', { answer: whole }))
  const part = (n: number) => page.getByRole('heading', { name: `Part ${n}`, exact: true })
  await expect(part(60)).toBeInViewport()
  await expect(part(1)).toHaveCount(0)
  const thread = page.getByRole('region', { name: 'Messages' })
  const height = () => thread.evaluate((el) => el.scrollHeight)
  const before = await height()
  expect((await look(page)).elements).toBeLessThanOrEqual(3_000)
  await thread.press('Home')
  await part(1).scrollIntoViewIfNeeded() // below the long question
  await expect(part(1)).toBeInViewport()
  await expect(part(60)).toHaveCount(0)
  await expect(page.locator('.katex').first()).toBeInViewport()
  await thread.press('End')
  await expect(part(60)).toBeInViewport()
  expect(Math.abs((await height()) - before), 'no block is higher or lower than before').toBeLessThanOrEqual(2)
})

test('another version of a message is shown where the first one was', async ({ chat, page }) => {
  for (const [question, tokens] of [
    ['First', 500],
    ['Second', 500],
    ['Third', 500],
  ] as const) {
    await chat.send(ask(question, { tokens }))
    await chat.answer.finishedAs(counted(tokens))
  }
  const second = page.getByRole('article', { name: 'Your message' }).filter({ hasText: 'Second' })
  await second.hover()
  await second.getByRole('button', { name: 'Edit message' }).click()
  await page.getByRole('textbox', { name: 'Edit message' }).fill(ask('Second, changed', { tokens: 300 }))
  await page.keyboard.press('Enter')
  await expect(page.getByText('Second, changed')).toHaveCount(1)
  await expect(page.getByText('Third')).toHaveCount(0)
  await chat.answer.finishedAs(counted(300))

  const changed = page.getByRole('article', { name: 'Your message' }).filter({ hasText: 'Second' })
  await changed.scrollIntoViewIfNeeded()
  const y = async () => Math.round((await changed.boundingBox())?.y ?? Number.NaN)
  const before = await y()
  await changed.getByRole('button', { name: 'Previous version' }).click()
  await expect(changed).toContainText('1/2')
  await expect.poll(async () => Math.abs((await y()) - before)).toBeLessThanOrEqual(1)
  // What follows it came with it, although a window that was opened now would not have loaded it.
  await page.reload()
  await expect(page.getByRole('article', { name: 'Your message' }).filter({ hasText: 'Third' })).toBeVisible()
})

/** How far the thread is scrolled, in pixels. */
const top = (chat: ChatPage) => chat.page.locator('.thread').evaluate((thread) => Math.round(thread.scrollTop))
