import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { defineConfig } from '@playwright/test'

/** The browser of the machine; nothing is downloaded. */
function chromium(): string {
  if (process.env.CHROMIUM) return process.env.CHROMIUM
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
      if (existsSync(join(folder, name))) return join(folder, name)
    }
  }
  throw new Error('No Chromium is on the PATH. Install one, or say where it is with CHROMIUM=/path/to/chromium.')
}

export default defineConfig({
  testDir: './specs',
  // Pictures are for people; they are taken when SHOTS names a folder for them.
  testIgnore: process.env.SHOTS ? [] : ['**/screenshots.spec.ts'],
  globalSetup: './support/programs.ts',
  fullyParallel: true,
  workers: 2,
  // Where a second try passes, the run says "flaky": a defect to look into, of the test or of the program.
  retries: process.env.CI ? 1 : 0,
  forbidOnly: !!process.env.CI,
  timeout: 60_000,
  expect: { timeout: 15_000 },
  reporter: [['list']],
  use: {
    locale: 'en-GB',
    timezoneId: 'Europe/Warsaw',
    viewport: { width: 1280, height: 800 },
    actionTimeout: 15_000,
    // A failure leaves a picture in test-results/; for every step add `--trace on`.
    screenshot: 'only-on-failure',
    contextOptions: { reducedMotion: 'reduce' },
    launchOptions: {
      executablePath: chromium(),
      args: [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        // A host name like a company's own: plain HTTP there is no secure context, unlike on localhost.
        '--host-resolver-rules=MAP mai.company.test 127.0.0.1',
      ],
    },
  },
})
