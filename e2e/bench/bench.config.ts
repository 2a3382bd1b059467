import tests from '../playwright.config'

// One after another: two at once would measure each other. Nothing is asserted about time, so nothing is retried.
export default {
  ...tests,
  testDir: '.',
  testMatch: '*.bench.ts',
  testIgnore: [],
  globalSetup: '../support/programs.ts',
  workers: 1,
  fullyParallel: false,
  timeout: 15 * 60_000,
  reporter: [['line' as const]],
}
