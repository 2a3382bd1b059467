// What every test gets: its own simulator, its own server on an empty folder, and a browser context that points to it.
import { type BrowserContext, test as base, type Page } from '@playwright/test'
import { ChatPage } from '../pages/chat'
import { Simulator } from './simulator'
import { Workspace } from './workspace'

export const admin = { name: 'Anna Kowalczyk', email: 'anna@company.test', password: 'correct horse battery' }

interface Options {
  /** The host name in the browser's address bar. */
  host: string
  /** Whether the server starts with a key that works. */
  connected: boolean
  /** More environment for the server. */
  env: Record<string, string>
  /** Tokens a second of answers that do not say their own speed; 0 is without delay. */
  rate: number
}

interface Fixtures {
  sim: Simulator
  mai: Workspace
  /** A page of the signed-in admin, on a new chat. */
  chat: ChatPage
}

export const test = base.extend<Options & Fixtures>({
  host: ['localhost', { option: true }],
  connected: [true, { option: true }],
  env: [{}, { option: true }],
  rate: [0, { option: true }],

  sim: async ({ rate }, use) => {
    const sim = await Simulator.start(rate)
    await use(sim)
    await sim.stop()
  },

  mai: async ({ sim, connected, env }, use, info) => {
    const mai = await Workspace.start({
      OPENROUTER_BASE_URL: sim.url,
      ...(connected && { OPENROUTER_API_KEY: Simulator.key }),
      ...env,
    })
    await use(mai)
    if (info.status !== info.expectedStatus) await info.attach('server log', { body: mai.log })
    await mai.remove()
  },

  baseURL: async ({ mai, host }, use) => {
    await use(`http://${host}:${mai.port}`)
  },

  chat: async ({ context, page }, use) => {
    await register(context)
    await use(await openChat(page))
  },
})

export { expect } from '@playwright/test'

/** Registers the first account, signs the context in with it, and returns its id. */
export async function register(context: BrowserContext): Promise<string> {
  const response = await context.request.post('/api/v1/auths/signup', { data: admin })
  if (!response.ok()) throw new Error(`sign-up: ${response.status()} ${await response.text()}`)
  return ((await response.json()) as { id: string }).id
}

/** Opens a new chat for whoever is signed in. */
export async function openChat(page: Page): Promise<ChatPage> {
  await page.goto('/')
  const chat = new ChatPage(page)
  await chat.message.waitFor()
  return chat
}
