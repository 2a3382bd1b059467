// Everybody gets in: axe finds nothing on any page in light and dark, and the keyboard alone is enough.
import { ChatPage } from '../pages/chat'
import { insidePages, richAnswer, visit } from '../pages/places'
import { expectAccessible } from '../support/axe'
import { admin, expect, register, test } from '../support/fixtures'
import { ask, counted } from '../support/simulator'

for (const colorScheme of ['light', 'dark'] as const) {
  test.describe(`in ${colorScheme}`, () => {
    test.use({ colorScheme })

    test('axe finds nothing on the pages', async ({ context, page }) => {
      await page.goto('/')
      await page.getByRole('heading', { level: 1 }).waitFor()
      expect(await page.locator('html').getAttribute('data-mantine-color-scheme')).toBe(colorScheme)
      await expectAccessible(page, '/setup')
      await register(context)
      for (const path of insidePages) {
        await visit(page, path)
        await expectAccessible(page, path)
      }
      await context.clearCookies()
      await page.goto('/')
      await page.getByRole('heading', { name: 'Sign in' }).waitFor()
      await expectAccessible(page, '/signin')
    })

    test('axe finds nothing in a chat and what opens from it', async ({ chat }) => {
      const { page } = chat
      await chat.send(ask('Show me all you can', { answer: richAnswer, reasoning: 'First I think.' }))
      await expect(chat.answer.charge).toBeVisible()
      await expect(chat.answer.text.locator('pre span[style*="color"]').first()).toBeVisible()
      await expectAccessible(page, 'a chat')
      await chat.answer.charge.click()
      await expect(page.getByRole('dialog', { name: 'Charge' })).toBeVisible()
      await expectAccessible(page, 'an open charge')
      await page.keyboard.press('Escape')
      await page.getByRole('button', { name: /^Model: / }).click()
      await expect(page.getByRole('option').first()).toBeVisible()
      await expectAccessible(page, 'the open model picker')
      await page.keyboard.press('Escape')
      await page.keyboard.press('Control+k')
      await expect(page.getByRole('combobox', { name: 'Search chats' })).toBeVisible()
      await expectAccessible(page, 'the search')
      await page.keyboard.press('Escape')
      await chat.send(ask('Fail', { fault: 'status:502' }))
      await expect(chat.answer.root.getByRole('alert')).toBeVisible()
      await expectAccessible(page, 'a failed answer')
      await visit(page, '/settings/usage')
      await expectAccessible(page, 'usage with figures')
      await visit(page, '/settings/users')
      await page.getByRole('button', { name: 'Add person' }).click()
      await expect(page.getByRole('dialog', { name: 'Add person' })).toBeVisible()
      await expectAccessible(page, 'a dialog')
    })
  })
}

test.describe('by keys alone', () => {
  test('register, chat, stop, choose a model', async ({ page }) => {
    await page.goto('/')
    await page.getByRole('heading', { level: 1 }).waitFor()
    /** Tabs until the element with this name has the focus, which must be visible. */
    const tabTo = async (role: 'textbox' | 'button', name: string | RegExp) => {
      const target = page.getByRole(role, { name, exact: true })
      for (let i = 0; i < 40; i++) {
        if (await target.evaluate((e) => e === document.activeElement)) return
        await page.keyboard.press('Tab')
      }
      throw new Error(`Tab never reached ${name}`)
    }
    await tabTo('textbox', 'Name')
    await page.keyboard.type(admin.name)
    await tabTo('textbox', 'Work e-mail')
    await page.keyboard.type(admin.email)
    await page.keyboard.press('Tab')
    await page.keyboard.type(admin.password)
    await page.keyboard.press('Enter')

    const chat = new ChatPage(page)
    await expect(chat.message).toBeFocused() // the server has a key, so the chat comes at once
    await page.keyboard.type(ask('Count', { tokens: 300, delay_ms: 25 }))
    await page.keyboard.press('Enter')
    await expect(chat.answer.text).toContainText('t10 ')
    await page.keyboard.press('Escape')
    await expect(chat.answer.stopped).toBeVisible()
    expect(counted(300).startsWith((await chat.answer.text.textContent()) ?? '?')).toBe(true)
    await expect(chat.message).toBeFocused()

    await page.keyboard.press('Control+Shift+O')
    await expect(page).toHaveURL(/\/$/)
    await expect(chat.message).toBeFocused()
    await page.keyboard.press('Shift+Tab')
    await tabTo('button', /^Model: /)
    await page.keyboard.press('Enter')
    await expect(page.getByRole('combobox', { name: 'Search models' })).toBeFocused()
    await page.keyboard.type('gpt mini')
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('Enter')
    await expect(page.getByRole('button', { name: 'Model: GPT-4.1 Mini' })).toBeFocused()
  })

  test('the first stop is a way past the menu, and every stop is visible', async ({ context, page }) => {
    await register(context)
    await visit(page, '/settings/profile')
    await page.keyboard.press('Tab')
    await expect(page.getByRole('link', { name: 'Skip to content' })).toBeFocused()
    for (let i = 0; i < 8; i++) {
      const seen = await page.evaluate(() => {
        const style = getComputedStyle(document.activeElement as Element)
        const box = (document.activeElement as Element).getBoundingClientRect()
        return {
          marked: style.outlineStyle !== 'none' || style.boxShadow !== 'none',
          inside: box.width > 0 && box.top >= 0,
        }
      })
      expect(seen).toEqual({ marked: true, inside: true })
      await page.keyboard.press('Tab')
    }
  })
})
