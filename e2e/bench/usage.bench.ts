// How soon Settings → Usage can be read and used, in an instance that is running: USAGE_URL says where. `go run ./bench usage`
// starts it on ledgers of several sizes, has calls settled in it at a steady rate, and reads what is printed here.
import { type Page, test } from '@playwright/test'
import { figure } from './table'

const url = process.env.USAGE_URL
const runs = Number(process.env.RUNS ?? 9)
const since = new Date(Date.now() - 720 * 86_400_000).toISOString().slice(0, 10)

/** What is opened, and what must be there: figures to read first, drawings too. */
const pages: [name: string, path: string, there: string[]][] = [
  ['page: overview', '', ['.stat .figure', '.tables tbody tr', '.chart-space svg']],
  ['page: overview, 2 years', `?from=${since}`, ['.stat .figure', '.tables tbody tr', '.chart-space svg']],
  ['page: by user', '?tab=users', ['.tables tbody tr', '.chart-space svg']],
  ['page: activity', '?tab=activity', ['table tbody tr']],
  ['page: accuracy', '?tab=accuracy', ['table tbody tr']],
]

/** Milliseconds from the beginning of a navigation until all is there and a frame with it was painted. */
async function open(page: Page, path: string, there: string[]): Promise<number> {
  await page.goto(`${url}/settings/usage${path}`, { waitUntil: 'commit' })
  return page.evaluate(
    (there) =>
      new Promise<number>((resolve) => {
        const look = () => {
          if (!there.every((selector) => document.querySelector(selector))) requestAnimationFrame(look)
          // The task after a frame begins when the frame has been given to the compositor.
          else requestAnimationFrame(() => setTimeout(() => resolve(performance.now())))
        }
        look()
      }),
    there,
  )
}

test('the usage page', async ({ context, page }) => {
  test.skip(!url, 'USAGE_URL names no instance')
  const data = { email: 'bench@example.com', password: 'long enough to pass' }
  const signedIn = await context.request.post(`${url}/api/v1/auths/signin`, { data })
  if (!signedIn.ok()) throw new Error(`sign-in: ${signedIn.status()} ${await signedIn.text()}`)
  await open(page, '', ['.stat .figure']) // the browser's own first time
  for (const [name, path, there] of pages) {
    const times: number[] = []
    for (let i = 0; i < runs; i++) times.push(await open(page, path, there))
    console.log(`${name}, usable after, ms = ${figure(times, 0)}`)
  }
})
