// What a streamed answer costs the main thread: some 2,400 pieces of four characters, 200 a second, with everything that
// Markdown has. The floor is a bare page that puts the same events into one element.
import { randomUUID } from 'node:crypto'
import type { Page } from '@playwright/test'
import { test } from '../support/fixtures'
import { ask } from '../support/simulator'
import { answer } from './answer'
import { figure, print } from './table'
import { type Cost, start } from './thread'

const runs = Number(process.env.RUNS ?? 5)
/** Waits for the end of the answer without asking for it again and again, which would be measured, too. */
const finished = (page: Page) =>
  page.evaluate(
    () =>
      new Promise<void>((resolve) => {
        const article = [...document.querySelectorAll('article.answer')].at(-1) as Element
        const look = () => article.getAttribute('aria-busy') !== 'true' && resolve()
        new MutationObserver(look).observe(article, { attributeFilter: ['aria-busy'] })
        look()
      }),
  )

const directive = { answer, delay_ms: 5 }

test('a streamed answer', async ({ chat, context }) => {
  const page = chat.page
  await chat.send(ask('Warm up', { answer, delay_ms: 0 })) // Markdown, KaTeX and the colours of code are loaded
  await chat.stop.waitFor({ state: 'hidden' })
  const ours: Cost[] = []
  const frames: Cost[] = []
  const floor: Cost[] = []
  const idle: Cost[] = []
  const stream = async (what: 'time' | 'frames') => {
    await page.goto('/')
    await chat.message.waitFor()
    await chat.send(ask('Everything about shipping', directive))
    await chat.answer.root.waitFor()
    const measured = await start(page, what)
    await finished(page)
    return measured()
  }
  for (let i = 0; i < runs; i++) {
    await page.goto('/')
    await chat.message.waitFor()
    await page.waitForTimeout(2_000)
    const resting = await start(page)
    await page.waitForTimeout(3_000)
    idle.push(await resting())

    ours.push(await stream('time'))
    if (i < 2) frames.push(await stream('frames'))

    // The same on a page that does nothing else.
    const bare = await context.newPage()
    await bare.goto('/health')
    const reply = await context.request.post(`/api/v1/chats/${randomUUID()}/messages`, {
      data: {
        message_id: randomUUID(),
        reply_id: randomUUID(),
        parent_id: null,
        model: 'openai/gpt-5-mini',
        content: ask('Bare', directive),
      },
    })
    const { run_id } = (await reply.json()) as { run_id: string }
    const following = await start(bare)
    await bare.evaluate(
      (url) =>
        new Promise<void>((resolve) => {
          const text = document.body.appendChild(document.createElement('div'))
          text.style.cssText = 'white-space: pre-wrap; max-width: 700px; font: 15.5px/1.65 sans-serif'
          const events = new EventSource(url)
          events.addEventListener('delta', (e) => text.append(JSON.parse(e.data).text ?? ''))
          events.addEventListener('done', () => resolve(events.close()))
        }),
      `/api/v1/runs/${run_id}/events?after=0`,
    )
    floor.push(await following())
    await bare.close()
  }
  const of = (list: Cost[], field: keyof Cost, digits = 1) =>
    figure(
      list.map((c) => c[field]),
      digits,
    )
  print('Streaming an answer', [
    ['characters, seconds', `${answer.length}, ${of(ours, 'wall')}`],
    ['main thread, % of its time', of(ours, 'task'), '≤ 10'],
    ['  of it script, layout, style', `${of(ours, 'script')}  ${of(ours, 'layout')}  ${of(ours, 'style')}`],
    ['  floor: the same events as plain text on a bare page', of(floor, 'task')],
    ['  at rest', of(idle, 'task', 2)],
    ['tasks over 50 ms', of(ours, 'longTasks', 0), '0'],
    ['longest of them, ms', of(ours, 'longest', 0), '≤ 50'],
    ['frames a second', of(frames, 'fps'), '60'],
    ['late frames', of(frames, 'lateFrames', 0)],
  ])
})
