// Every page on a phone, 390 pixels wide, and what must fit at any width.
import { insidePages, richAnswer, visit } from '../pages/places'
import { expect, test } from '../support/fixtures'
import { ask } from '../support/simulator'

test.use({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true })

test('menu, sending by the button, charge and models as sheets', async ({ chat }) => {
  const { page } = chat
  await chat.message.fill(ask('Show me all you can', { answer: richAnswer }))
  await chat.message.press('Enter') // a new line, where a finger types
  await expect(chat.answers).toHaveCount(0)
  await page.getByRole('button', { name: 'Send' }).tap()
  await expect(chat.answer.charge).toBeVisible()

  await chat.answer.charge.tap()
  const charge = page.getByRole('dialog', { name: 'Charge' })
  await expect(charge.getByText('Settled')).toBeVisible()
  expect((await charge.boundingBox())?.width).toBe(390)
  await page.touchscreen.tap(195, 60)
  await expect(charge).toBeHidden()

  await page.getByRole('button', { name: /^Model: / }).tap()
  await page.getByRole('dialog', { name: 'Model' }).getByRole('option').filter({ hasText: 'GPT-5 Mini' }).tap()
  await expect(page.getByRole('button', { name: 'Model: GPT-5 Mini' })).toBeVisible()

  await page.getByRole('button', { name: 'Menu' }).tap()
  const drawer = page.getByRole('dialog', { name: 'Menu' })
  await expect(drawer.getByRole('navigation', { name: 'Chats' }).getByRole('link')).toHaveCount(1)
  await drawer.getByRole('link', { name: 'New chat', exact: true }).tap()
  await expect(drawer).toBeHidden()
  await expect(chat.message).toHaveValue('')
  await expect(chat.answers).toHaveCount(0)
})

test('no page is wider than the screen', async ({ chat }) => {
  const { page } = chat
  await chat.message.fill(ask('Show me all you can', { answer: richAnswer }))
  await page.getByRole('button', { name: 'Send' }).tap()
  await expect(chat.answer.charge).toBeVisible()
  for (const path of [new URL(page.url()).pathname, ...insidePages]) {
    await visit(page, path)
    const wide = await page.evaluate(() => ({
      page: document.documentElement.scrollWidth,
      // Main areas scroll up and down only; code, tables and formulas scroll within themselves.
      areas: [...document.querySelectorAll('main, .page, .thread')]
        .filter((e) => e.scrollWidth > e.clientWidth)
        .map((e) => e.className),
    }))
    expect(wide, path).toEqual({ page: 390, areas: [] })
  }
})

test('what is tapped is large enough', async ({ chat }) => {
  const { page } = chat
  for (const path of insidePages) {
    await visit(page, path)
    const small = await page.locator('button:visible, .nav:visible').evaluateAll((all) =>
      all
        .filter((e) => {
          const box = e.getBoundingClientRect()
          return box.width < 24 || box.height < 24
        })
        .map((e) => e.getAttribute('aria-label') ?? e.textContent),
    )
    expect(small, path).toEqual([])
  }
})

test('exact amounts fit where they are shown, in both languages and at any width', async ({ chat }) => {
  const { page } = chat
  await chat.message.fill(ask('Ask something for all of us', { tokens: 5, cost: '0.180000000007' }))
  await page.getByRole('button', { name: 'Send' }).tap()
  await expect(chat.answer.charge).toBeVisible()
  for (const language of ['English', 'Polski']) {
    await page.goto('/settings/profile')
    await page.getByRole('radio', { name: language }).click()
    await page.goto('/settings/usage')
    await page.locator('.stat').first().waitFor()
    for (const width of [390, 900, 1280]) {
      await page.setViewportSize({ width, height: 844 })
      const outside = await page.evaluate(() => {
        const over = (inner: Element, outer: Element) => {
          const [a, b] = [inner.getBoundingClientRect(), outer.getBoundingClientRect()]
          return a.left < b.left - 1 || a.right > b.right + 1
        }
        const figures = [...document.querySelectorAll('.stat')].filter((stat) =>
          over(stat.querySelector('.figure > *') ?? stat, stat),
        )
        const labels = [...document.querySelectorAll('svg.chart text')].filter((text) =>
          over(text, text.closest('section') as Element),
        )
        return [...figures, ...labels].map((e) => e.textContent)
      })
      expect.soft(outside, `${language}, ${width} px`).toEqual([])
    }
  }
})
