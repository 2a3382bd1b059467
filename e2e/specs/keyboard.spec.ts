// The whole story without a mouse: Tab, arrows, Enter, Escape and the shortcuts. The focus is visible at every stop, and
// comes back to where it was when something closes.
import { expect, type Locator, type Page } from '@playwright/test'
import { ChatPage } from '../pages/chat'
import { visit } from '../pages/places'
import { admin, register, test } from '../support/fixtures'
import { ask, counted, Simulator } from '../support/simulator'

/** Presses Tab until the target has the focus; every stop on the way must show that it has it. */
async function tabTo(page: Page, target: Locator, key: 'Tab' | 'Shift+Tab' = 'Tab'): Promise<void> {
  for (let i = 0; i < 60; i++) {
    if (await target.evaluate((e) => e === document.activeElement)) return
    await page.keyboard.press(key)
    const stop = await page.evaluate(() => {
      const at = document.activeElement as HTMLElement
      if (at === document.body) return { name: 'the page', marked: true }
      const style = getComputedStyle(at)
      // A text field inside a frame is marked by its frame.
      const frame = getComputedStyle(at.closest('.input, .composer, .own-edit') ?? at)
      const marked = style.outlineStyle !== 'none' || frame.outlineStyle !== 'none' || frame.boxShadow !== 'none'
      return { name: at.getAttribute('aria-label') ?? at.textContent?.trim() ?? at.tagName, marked }
    })
    expect(stop.marked, `the focus on ${stop.name} is not visible`).toBe(true)
  }
  throw new Error(`${key} never reached ${target}`)
}

/** Opens a chat's answer actions by keys: the focus goes backwards from the composer. */
const pressOn = async (page: Page, target: Locator, key: 'Tab' | 'Shift+Tab' = 'Tab') => {
  await tabTo(page, target, key)
  await page.keyboard.press('Enter')
}

test.describe('from an empty instance', () => {
  test.use({ connected: false })

  test('sign up, connect, invite, chat, stop, regenerate, versions, palette, usage, sign out', async ({ page }) => {
    test.setTimeout(120_000)
    const { keyboard } = page
    const chat = new ChatPage(page)
    const button = (name: string | RegExp) => page.getByRole('button', { name, exact: true })
    const guide = page.getByRole('region', { name: 'Getting started' })

    await test.step('sign up', async () => {
      await page.goto('/')
      await tabTo(page, page.getByLabel('Name', { exact: true }))
      await keyboard.type(admin.name)
      await keyboard.press('Tab')
      await keyboard.type(admin.email)
      await keyboard.press('Tab')
      await keyboard.type(admin.password)
      await keyboard.press('Enter')
      await expect(page).toHaveURL(/\/settings\/connections$/)
      await expect(guide).toContainText('Create account, done')
    })

    await test.step('skip the menu, connect', async () => {
      const skip = page.getByRole('link', { name: 'Skip to content' })
      await pressOn(page, skip)
      const key = page.getByLabel('API key', { exact: true })
      await tabTo(page, key)
      await keyboard.type('sk-or-v1-wrong')
      await keyboard.press('Enter')
      await expect(page.getByRole('alert')).toContainText('OpenRouter does not know this key.')
      await expect(key).toBeFocused()
      await keyboard.press('Control+a')
      await keyboard.type(Simulator.key)
      await keyboard.press('Enter')
      await expect(page.getByText('Key works and is saved')).toBeVisible()
      await expect(guide).toContainText('Connect the models, done')
    })

    await test.step('invite', async () => {
      await pressOn(page, guide.getByRole('link', { name: 'Add colleagues' }), 'Shift+Tab')
      await expect(page.getByRole('heading', { name: 'Users' })).toBeVisible()
      await pressOn(page, button('Add person'))
      await expect(page.getByLabel('Name', { exact: true })).toBeFocused()
      await keyboard.type('Ola Nowak')
      await keyboard.press('Tab')
      await keyboard.type('ola@company.test')
      await keyboard.press('Enter')
      await expect(page.getByRole('dialog', { name: 'Person added' })).toBeVisible()
      await keyboard.press('Escape')
      await expect(button('Add person')).toBeFocused()
      await expect(guide).toContainText('Add colleagues, done')
    })

    await test.step('chat, and stop', async () => {
      await pressOn(page, guide.getByRole('link', { name: 'Ask the first question' }), 'Shift+Tab')
      await expect(chat.message).toBeFocused()
      await keyboard.type(ask('Count', { tokens: 300, delay_ms: 25 }))
      await keyboard.press('Enter')
      await expect(chat.answer.text).toContainText('t10 ')
      await keyboard.press('Escape')
      await expect(chat.answer.stopped).toBeVisible()
      expect(counted(300).startsWith((await chat.answer.text.textContent()) ?? '?')).toBe(true)
      await expect(chat.message).toBeFocused()
      await expect(guide).toHaveCount(0) // everything is set up
    })

    await test.step('regenerate, and switch versions', async () => {
      await pressOn(page, chat.answer.button('Regenerate'), 'Shift+Tab')
      await expect(chat.answer.text).toContainText('t5 ')
      await expect(chat.message).toBeFocused()
      await keyboard.press('Escape')
      await expect(chat.answer.root.getByText('2/2')).toBeVisible()
      await pressOn(page, chat.answer.button('Previous version'), 'Shift+Tab')
      await expect(chat.answer.root.getByText('1/2')).toBeVisible()
      await expect(chat.answer.button('Previous version')).toBeFocused()
      await pressOn(page, chat.answer.button('Next version'))
      await expect(chat.answer.root.getByText('2/2')).toBeVisible()
    })

    await test.step('choose a model', async () => {
      await keyboard.press('Control+Shift+O')
      await expect(chat.message).toBeFocused()
      await pressOn(page, button(/^Model: /), 'Shift+Tab')
      await expect(page.getByRole('combobox', { name: 'Search models' })).toBeFocused()
      await keyboard.type('gpt mini')
      await keyboard.press('ArrowDown')
      await keyboard.press('Enter')
      await expect(button('Model: GPT-4.1 Mini')).toBeFocused()
    })

    await test.step('the shortcuts, then the palette to the usage', async () => {
      await keyboard.press('Control+/')
      await expect(page.getByRole('dialog', { name: 'Keyboard shortcuts' })).toBeVisible()
      await keyboard.press('Escape')
      await expect(button('Model: GPT-4.1 Mini')).toBeFocused()
      await keyboard.press('Control+k')
      await expect(page.getByRole('combobox', { name: 'Search chats' })).toBeFocused()
      await keyboard.type('usage')
      await keyboard.press('Enter')
      await expect(page.getByRole('heading', { name: 'Usage', level: 1 })).toBeVisible()
      await pressOn(page, page.getByRole('link', { name: 'Activity', exact: true }))
      await expect(page.getByRole('row', { name: /Anna Kowalczyk/ })).not.toHaveCount(0)
    })

    await test.step('sign out', async () => {
      await pressOn(page, page.getByRole('link', { name: 'Back to chat' }), 'Shift+Tab')
      await expect(chat.message).toBeFocused()
      await tabTo(page, button(new RegExp(admin.name)), 'Shift+Tab')
      await keyboard.press('Enter')
      await expect(page.getByRole('menuitem', { name: 'Settings' })).toBeVisible()
      await keyboard.press('Escape')
      await expect(button(new RegExp(admin.name))).toBeFocused()
      await keyboard.press('Enter')
      await expect(page.getByRole('menuitem', { name: 'Settings' })).toBeFocused()
      await keyboard.press('ArrowUp')
      await expect(page.getByRole('menuitem', { name: 'Sign out' })).toBeFocused()
      await keyboard.press('Enter')
      await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()
      await expect(page.getByLabel('E-mail')).toBeFocused()
    })
  })
})

test('the guide is put away and brought back by keys', async ({ context, page }) => {
  await register(context)
  await visit(page, '/')
  const guide = page.getByRole('region', { name: 'Getting started' })
  await expect(guide).toContainText('Connect the models, done') // the server has a key
  await pressOn(page, guide.getByRole('button', { name: 'Hide the guide' }), 'Shift+Tab')
  await expect(guide).toHaveCount(0)
  await expect(page.locator('#main')).toBeFocused()
  await page.reload()
  await expect(new ChatPage(page).message).toBeFocused()
  await expect(guide).toHaveCount(0)
  await pressOn(page, page.getByRole('button', { name: admin.name }), 'Shift+Tab')
  await page.getByRole('menuitem', { name: 'Getting started' }).press('Enter')
  await expect(guide).toBeVisible()
})

test('the first stop is a way past the menu', async ({ context, page }) => {
  await register(context)
  await visit(page, '/settings/profile')
  await page.keyboard.press('Tab')
  await expect(page.getByRole('link', { name: 'Skip to content' })).toBeFocused()
})

test('what is sent too early is sent when it can be', async ({ context, page }) => {
  await register(context)
  let release = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  await page.route('**/api/v1/models', async (route) => {
    await held
    await route.continue()
  })
  await page.goto('/')
  const chat = new ChatPage(page)
  await chat.message.fill(ask('Early', { answer: 'In time.' }))
  await chat.message.press('Enter')
  await expect(page.getByText('Sent as soon as the page has loaded.')).toBeVisible()
  release()
  await chat.answer.finishedAs('In time.')
  await chat.send(ask('Count', { tokens: 60, delay_ms: 25 }))
  await expect(chat.answer.text).toContainText('t5 ')
  await chat.message.fill(ask('And then', { answer: 'Next.' }))
  await chat.message.press('Enter')
  await expect(page.getByText('Sent after this answer.')).toBeVisible()
  await expect(chat.answers).toHaveCount(3)
  await chat.answer.finishedAs('Next.')
})
