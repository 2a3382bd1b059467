// A chat of 10,000 messages: how soon after the click its end is painted, and how it scrolls, at rest and while an answer
// is streamed into it. The floor is a chat of two messages, opened in the same way.
import type { Page } from '@playwright/test'
import { openChat, register, test } from '../support/fixtures'
import { ask } from '../support/simulator'
import { answer } from './answer'
import { figure, median, print } from './table'
import { start } from './thread'

const runs = Number(process.env.RUNS ?? 7)
const messages = Number(process.env.MESSAGES ?? 10_000)

interface Scrolled {
  frames: number[]
  elements: number
  nodes: number
  pixels: number
}

/**
 * Clicks a row of the list of chats and returns the milliseconds until the wanted text is at the end of the thread, as
 * Markdown, and that frame was painted.
 */
async function open(page: Page, href: string, text: string): Promise<number> {
  const painted = page.evaluate(
    ([href, text]) =>
      new Promise<number>((resolve) => {
        const row = document.querySelector(`nav a[href="${href}"]`) as HTMLElement
        row.addEventListener('click', (e) => {
          const look = () => {
            const answers = document.querySelectorAll('article.answer')
            const last = answers[answers.length - 1]
            const thread = document.querySelector('.thread')
            const there =
              last?.querySelector('.markdown p')?.textContent?.includes(text) &&
              thread &&
              thread.scrollHeight - thread.scrollTop - thread.clientHeight < 2
            if (!there) requestAnimationFrame(look)
            // The task after a frame begins when the frame has been given to the compositor.
            else requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - e.timeStamp)))
          }
          look()
        })
      }),
    [href, text] as const,
  )
  await page.locator(`nav a[href="${href}"]`).click()
  return painted
}

/** Scrolls the thread up by so many pixels a frame for some seconds, or to its very beginning. */
function scroll(page: Page, step: number, seconds: number): Promise<Scrolled> {
  return page.evaluate(
    ([step, seconds]) =>
      new Promise<Scrolled>((resolve) => {
        const thread = document.querySelector('.thread') as HTMLElement
        const result: Scrolled = { frames: [], elements: 0, nodes: 0, pixels: 0 }
        const begun = performance.now()
        let last = begun
        let still = 0
        const frame = (time: number) => {
          result.frames.push(time - last)
          last = time
          result.elements = Math.max(result.elements, document.getElementsByTagName('*').length)
          if (result.frames.length % 20 === 0) {
            const walker = document.createTreeWalker(document, NodeFilter.SHOW_ALL)
            let nodes = 1
            while (walker.nextNode()) nodes++
            result.nodes = Math.max(result.nodes, nodes)
          }
          // At the top it waits for earlier messages; after two seconds without any it is the beginning.
          still = thread.scrollTop === 0 ? still + 1 : 0
          if (time - begun > seconds * 1000 || still > 120) resolve(result)
          else {
            thread.scrollTop -= step
            result.pixels += step
            requestAnimationFrame(frame)
          }
        }
        requestAnimationFrame(frame)
      }),
    [step, seconds] as const,
  )
}

/** Loads the page anew and waits until it has loaded what it loads when it is idle. */
async function fresh(page: Page): Promise<void> {
  await openChat(page)
  await page.waitForTimeout(2_000)
}

const rows = (name: string, s: Scrolled): [string, string, string?][] => {
  const gaps = s.frames.slice(2)
  const time = gaps.reduce((a, b) => a + b, 0)
  const sorted = [...gaps].sort((a, b) => a - b)
  return [
    [`${name}: seconds, screens`, `${(time / 1000).toFixed(1)}, ${(s.pixels / 700).toFixed(0)}`],
    ['  frames a second', ((gaps.length / time) * 1000).toFixed(1), '60'],
    [
      '  frame ms, p50 p95 max',
      `${median(gaps).toFixed(1)} ${(sorted[Math.floor(gaps.length * 0.95)] ?? 0).toFixed(1)} ${(sorted.at(-1) ?? 0).toFixed(0)}`,
    ],
    ['  most elements, nodes with texts', `${s.elements}, ${s.nodes}`, '≤ 3,000'],
  ]
}

test('a chat of 10,000 messages', async ({ context, page, mai }) => {
  const user = await register(context)
  const long = await mai.addLongChat(user, messages)
  const short = await mai.addLongChat(user, 2)
  const opened: Record<'cold' | 'warm' | 'floor', number[]> = { cold: [], warm: [], floor: [] }
  const reading: number[] = []
  for (let i = 0; i < runs; i++) {
    await fresh(page)
    opened.floor.push(await open(page, `/c/${short}`, 'Answer 1:'))
    await fresh(page)
    opened.cold.push(await open(page, `/c/${long}`, `Answer ${messages / 2}:`))
    await open(page, `/c/${short}`, 'Answer 1:')
    opened.warm.push(await open(page, `/c/${long}`, `Answer ${messages / 2}:`))
    for (let n = 0; n < 5; n++) {
      const begun = performance.now()
      await (await context.request.get(`/api/v1/chats/${long}`)).body()
      reading.push(performance.now() - begun)
    }
  }
  print(`A chat of ${messages} messages`, [
    ['click → end painted, ms, the first click on a fresh page', figure(opened.cold, 0), '≤ 300'],
    ['  opened again', figure(opened.warm, 0)],
    ['  floor: a chat of two messages', figure(opened.floor, 0)],
    ['GET /api/v1/chats/{id}, ms, its last 100 messages', figure(reading)],
  ])

  print('Scrolling in it', [
    ...rows('as one reads (50 px a frame)', await scroll(page, 50, 8)),
    ...rows('flying (700 px a frame)', await scroll(page, 700, 20)),
    ...rows('to the first message (5,000 px a frame)', await scroll(page, 5_000, 240)),
  ])
  const first = await page.locator('article').first().textContent()
  console.log(`  the first message there: ${first?.slice(0, 12)}`)

  const chat = await openChat(page)
  await open(page, `/c/${long}`, `Answer ${messages / 2}:`)
  await chat.send(ask('Warm up', { answer }))
  await page.getByText('Warm up').waitFor()
  await chat.stop.waitFor({ state: 'hidden' })
  await chat.send(ask('Everything about shipping', { answer, delay_ms: 5 }))
  await page.getByText('Everything about shipping').waitFor()
  const streaming = await start(page)
  await page.waitForTimeout(5_000)
  const cost = await streaming()
  print('Streaming into it', [
    ['main thread, % of its time', figure([cost.task]), '≤ 10'],
    ['tasks over 50 ms, longest', `${cost.longTasks}, ${cost.longest.toFixed(0)} ms`, '0'],
    ...rows('scrolling up meanwhile (50 px a frame)', await scroll(page, 50, 5)),
  ])
})
