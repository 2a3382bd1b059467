// Polish everywhere: no page keeps a sentence of the English one.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { insidePages, visit } from '../pages/places'
import { expect, openChat, register, test } from '../support/fixtures'
import { ask } from '../support/simulator'

/** The English texts that read otherwise in Polish, from the catalogue; those with parts that vary are left out. */
function englishTexts(): Set<string> {
  const catalogue = readFileSync(join(import.meta.dirname, '../../web/src/locales/pl.po'), 'utf8')
  const pairs = catalogue.matchAll(/^msgid "(.+)"\nmsgstr "(.*)"$/gm)
  return new Set(
    [...pairs].filter(([, en, pl]) => en !== pl && !/[{<\\]/.test(en as string)).map(([, en]) => en as string),
  )
}

/** Texts, names and placeholders of a page. */
const readPage = () => {
  const texts: string[] = []
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) texts.push(walker.currentNode.textContent?.trim() ?? '')
  for (const element of document.querySelectorAll('[aria-label],[placeholder],[title]')) {
    for (const name of ['aria-label', 'placeholder', 'title']) texts.push(element.getAttribute(name) ?? '')
  }
  return texts.filter(Boolean)
}

test('Polish is Polish on every page', async ({ context, page }) => {
  const english = englishTexts()
  expect(english.size).toBeGreaterThan(150)
  const expectPolish = async (where: string) => {
    await expect(page.locator('html')).toHaveAttribute('lang', 'pl')
    const left = (await page.evaluate(readPage)).filter((text) => english.has(text))
    expect(left, `English on ${where}`).toEqual([])
  }
  await page.goto('/')
  await page.getByRole('button', { name: 'Polski' }).click()
  await expect(page.getByRole('heading', { name: 'Utwórz pierwsze konto', level: 1 })).toBeVisible()
  await expectPolish('/setup')
  await register(context)
  for (const path of insidePages) {
    await visit(page, path)
    await expectPolish(path)
  }
  await page.goto('/')
  await page.getByRole('textbox', { name: 'Wiadomość' }).fill(ask('Policz to dla mnie, proszę', { answer: 'Proszę.' }))
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: /^Opłata: / }).click()
  await expect(page.getByText('Rozliczone')).toBeVisible()
  await expect(page.locator('.charge-amount')).toHaveText(/^0,\d{4,}\sUSD$/)
  await expectPolish('a chat')
})

test('what the server says is Polish, and what it said before is told in the language of whoever reads it', async ({
  chat,
}) => {
  const { page } = chat
  await page.goto('/settings/profile')
  await page.getByRole('radio', { name: 'Polski' }).click()
  await page.getByLabel('Obecne hasło').fill('not this one')
  await page.getByLabel('Nowe hasło').fill('long enough')
  await page.getByRole('button', { name: 'Zmień hasło' }).click()
  await expect(page.getByRole('alert')).toContainText('Obecne hasło jest nieprawidłowe.')
  await page.goto('/')
  await page.getByRole('textbox', { name: 'Wiadomość' }).fill(ask('Spróbuj', { fault: 'status:502' }))
  await page.keyboard.press('Enter')
  const failure = page.getByRole('article').getByRole('alert')
  await expect(failure).toContainText('Model jest teraz niedostępny.')
  const address = page.url()
  await page.goto('/settings/profile')
  await page.getByRole('radio', { name: 'English' }).click()
  await page.goto(address)
  await expect(failure).toContainText('The model is not available just now.')
})

test('the language is chosen in the profile and stays', async ({ chat }) => {
  await chat.page.goto('/settings/profile')
  await chat.page.getByRole('radio', { name: 'Polski' }).click()
  await expect(chat.page.getByRole('heading', { name: 'Profil', level: 1 })).toBeVisible()
  await chat.page.reload()
  await expect(chat.page.getByRole('heading', { name: 'Profil', level: 1 })).toBeVisible()
  await chat.page.getByRole('radio', { name: 'English' }).click()
  await openChat(chat.page)
})

test.describe('for a server that speaks Polish', () => {
  test.use({ env: { DEFAULT_LOCALE: 'pl' } })

  test('the first page is Polish', async ({ page }) => {
    await page.goto('/')
    await expect(page.getByRole('heading', { name: 'Utwórz pierwsze konto', level: 1 })).toBeVisible()
  })
})
