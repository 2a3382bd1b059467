// Lighthouse's mobile scores of a chat with a conversation and of the usage page with data. The floor is a page of one
// sentence: what is missing there, no page can reach on this machine. Lighthouse slows the machine down as if it were a
// phone and takes it for an idle desktop; its own measure of the machine is printed, some 1,500 and more on one.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, register, test } from '../support/fixtures'
import { figure, print } from './table'

const runs = Number(process.env.RUNS ?? 5)

interface Report {
  categories: Record<string, { score: number | null }>
  audits: Record<string, { numericValue?: number; score: number | null; title: string; scoreDisplayMode: string }>
  finalDisplayedUrl: string
  environment: { benchmarkIndex: number }
}

/** Runs Lighthouse once. It needs a newer Node than the tests do, and its own Chromium. */
async function measure(url: string, cookie: string, output: string, chromium: string): Promise<Report> {
  const modules = join(import.meta.dirname, 'node_modules')
  const headers = JSON.stringify({ Cookie: cookie })
  const flags = ['--quiet', '--output=json', `--output-path=${output}`, `--extra-headers=${headers}`]
  const browser = '--chrome-flags=--headless=new --no-sandbox --disable-gpu'
  await promisify(execFile)(
    join(modules, '.bin/node'),
    [join(modules, 'lighthouse/cli/index.js'), url, '--only-categories=performance,accessibility', ...flags, browser],
    { env: { ...process.env, CHROME_PATH: chromium } },
  )
  return JSON.parse(readFileSync(output, 'utf8')) as Report
}

test('Lighthouse', async ({ context, mai }, info) => {
  const user = await register(context)
  const chat = await mai.addLongChat(user, 40)
  await mai.addLongChat(user, 400)
  // A company at work: the guide of its first minutes is done.
  const colleague = { name: 'Ola Nowak', email: 'ola@company.test', password: 'correct horse battery', role: 'user' }
  expect((await context.request.post('/api/v1/users', { data: colleague })).ok()).toBe(true)
  const cookie = (await context.cookies()).map((c) => `${c.name}=${c.value}`).join('; ')
  const chromium = info.project.use.launchOptions?.executablePath as string
  const bare = createServer((_, reply) => {
    reply.setHeader('Content-Type', 'text/html')
    reply.end(
      '<!doctype html><html lang="en"><title>Floor</title><main><h1>Floor</h1><p>One sentence.</p></main></html>',
    )
  })
  await new Promise<void>((resolve) => bare.listen(0, '127.0.0.1', resolve))
  const pages = {
    chat: `${mai.url}/c/${chat}`,
    usage: `${mai.url}/settings/usage`,
    floor: `http://localhost:${(bare.address() as AddressInfo).port}/`,
  }
  for (const [name, url] of Object.entries(pages)) {
    const reports: Report[] = []
    for (let i = 0; i < runs; i++)
      reports.push(await measure(url, cookie, info.outputPath(`${name}-${i}.json`), chromium))
    for (const report of reports) expect(report.finalDisplayedUrl, 'the page, and not the sign-in').toBe(url)
    const score = (category: string) => reports.map((r) => (r.categories[category]?.score ?? 0) * 100)
    const value = (audit: string, per = 1) => reports.map((r) => (r.audits[audit]?.numericValue ?? 0) / per)
    const wrong = new Set(
      reports.flatMap((r) =>
        Object.values(r.audits)
          .filter((a) => a.score !== null && a.score < 1 && a.scoreDisplayMode === 'binary')
          .map((a) => a.title),
      ),
    )
    print(`Lighthouse, mobile: ${name}`, [
      ['performance', figure(score('performance'), 0), name === 'floor' ? '' : '≥ 95'],
      ['accessibility', figure(score('accessibility'), 0), name === 'floor' ? '' : '100'],
      ['first contentful paint, s', figure(value('first-contentful-paint', 1000))],
      ['largest contentful paint, s', figure(value('largest-contentful-paint', 1000))],
      ['blocked time, ms', figure(value('total-blocking-time'), 0)],
      ['layout shift', figure(value('cumulative-layout-shift'), 3), '0'],
      ['kB transferred', figure(value('total-byte-weight', 1000), 0)],
      [
        'speed of the machine',
        figure(
          reports.map((r) => r.environment.benchmarkIndex),
          0,
        ),
      ],
      ...[...wrong].map((title): [string, string] => ['  not passed', title]),
    ])
  }
  bare.close()
})
