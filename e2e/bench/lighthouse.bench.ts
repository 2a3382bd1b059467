// Lighthouse's mobile scores of a chat with a conversation and of the usage page with data. The floor is a page with
// nothing on it, served by the same program: what is missing there, no page can reach on this machine.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, register, test } from '../support/fixtures'
import { figure, print } from './table'

const runs = Number(process.env.RUNS ?? 5)

interface Report {
  categories: Record<string, { score: number | null }>
  audits: Record<string, { numericValue?: number; score: number | null; title: string; scoreDisplayMode: string }>
  finalDisplayedUrl: string
}

/** Runs Lighthouse once. It needs a newer Node than the tests do, and its own Chromium. */
function measure(url: string, cookie: string, output: string, chromium: string): Report {
  const modules = join(import.meta.dirname, 'node_modules')
  const headers = JSON.stringify({ Cookie: cookie })
  const flags = ['--quiet', '--output=json', `--output-path=${output}`, `--extra-headers=${headers}`]
  const browser = '--chrome-flags=--headless=new --no-sandbox --disable-gpu'
  execFileSync(
    join(modules, '.bin/node'),
    [join(modules, 'lighthouse/cli/index.js'), url, '--only-categories=performance,accessibility', ...flags, browser],
    { env: { ...process.env, CHROME_PATH: chromium }, stdio: ['ignore', 'ignore', 'inherit'] },
  )
  return JSON.parse(readFileSync(output, 'utf8')) as Report
}

test('Lighthouse', async ({ context, mai, browser }, info) => {
  const user = await register(context)
  const chat = await mai.addLongChat(user, 40)
  await mai.addLongChat(user, 400)
  const cookie = (await context.cookies()).map((c) => `${c.name}=${c.value}`).join('; ')
  const chromium = info.project.use.launchOptions?.executablePath as string
  void browser
  const pages = { chat: `/c/${chat}`, usage: '/settings/usage', floor: '/health' }
  for (const [name, path] of Object.entries(pages)) {
    const reports: Report[] = []
    for (let i = 0; i < runs; i++)
      reports.push(measure(mai.url + path, cookie, info.outputPath(`${name}-${i}.json`), chromium))
    expect(new URL(reports[0]?.finalDisplayedUrl ?? '').pathname, 'the page was shown, not the sign-in').toBe(path)
    const score = (category: string) => reports.map((r) => (r.categories[category]?.score ?? 0) * 100)
    const value = (audit: string, per = 1) => reports.map((r) => (r.audits[audit]?.numericValue ?? 0) / per)
    const wrong = new Set(
      reports.flatMap((r) =>
        Object.values(r.audits)
          .filter((a) => a.score !== null && a.score < 1 && a.scoreDisplayMode === 'binary')
          .map((a) => a.title),
      ),
    )
    print(`Lighthouse, mobile: ${name} ${path}`, [
      ['performance', figure(score('performance'), 0), name === 'floor' ? '' : '≥ 95'],
      ['accessibility', figure(score('accessibility'), 0), name === 'floor' ? '' : '100'],
      ['first contentful paint, s', figure(value('first-contentful-paint', 1000))],
      ['largest contentful paint, s', figure(value('largest-contentful-paint', 1000))],
      ['blocked time, ms', figure(value('total-blocking-time'), 0)],
      ['layout shift', figure(value('cumulative-layout-shift'), 3), '0'],
      ['kB transferred', figure(value('total-byte-weight', 1000), 0)],
      ...[...wrong].map((title): [string, string] => ['  not passed', title]),
    ])
  }
})
