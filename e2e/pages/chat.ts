import { expect, type Locator, type Page } from '@playwright/test'

/** One answer on the page. */
export class Answer {
  constructor(
    readonly page: Page,
    readonly root: Locator,
  ) {}

  /** The rendered text, without what surrounds it. */
  get text(): Locator {
    return this.root.locator('.markdown')
  }

  get charge(): Locator {
    return this.root.getByRole('button', { name: /^Charge: / })
  }

  get stopped(): Locator {
    return this.root.getByText('Stopped.')
  }

  get interrupted(): Locator {
    return this.root.getByText('The server was interrupted here. What was written is kept.')
  }

  button(name: string): Locator {
    return this.root.getByRole('button', { name, exact: true })
  }

  /** Waits for the end and for exactly this text. */
  async finishedAs(text: string): Promise<void> {
    await expect(this.root).toHaveAttribute('aria-busy', 'false', { timeout: 30_000 })
    expect(await this.text.textContent()).toBe(text)
  }

  /** The exact amount and the generation it is for, as the popover says. */
  async exactCharge(): Promise<{ amount: string; generation: string }> {
    await this.charge.click()
    const popover = this.page.getByRole('dialog', { name: 'Charge' })
    await expect(popover.getByText('Settled')).toBeVisible()
    const amount = (await popover.locator('.charge-amount').textContent()) ?? ''
    const generation = (await popover.getByText(/^gen-/).textContent()) ?? ''
    await this.page.keyboard.press('Escape')
    await expect(popover).toBeHidden()
    return { amount, generation }
  }
}

/** The page of a chat, new or old. */
export class ChatPage {
  constructor(readonly page: Page) {}

  get message(): Locator {
    return this.page.getByRole('textbox', { name: 'Message', exact: true })
  }

  get stop(): Locator {
    return this.page.getByRole('button', { name: 'Stop', exact: true })
  }

  /** A row of the list, by its title. */
  row(title: string | RegExp): Locator {
    return this.page.getByRole('navigation', { name: 'Chats' }).getByRole('link', { name: title, exact: true })
  }

  /** Opens the menu of a row. */
  async menu(title: string, item: string): Promise<void> {
    await this.row(title).hover()
    await this.page.getByRole('button', { name: `More for ${title}` }).click()
    await this.page.getByRole('menuitem', { name: item }).click()
  }

  get answers(): Locator {
    return this.page.getByRole('article', { name: /^Answer by / })
  }

  get answer(): Answer {
    return new Answer(this.page, this.answers.last())
  }

  async send(text: string): Promise<void> {
    await this.message.fill(text)
    // Nothing can be sent before the models are known.
    await expect(this.page.getByRole('button', { name: 'Send' })).toHaveAttribute('aria-disabled', 'false')
    await this.message.press('Enter')
  }
}

/**
 * Makes a page, and what it becomes by reloading, remember every state of an answer's text. The function it returns
 * gives them, oldest first, since the last load.
 */
export async function recordText(page: Page): Promise<() => Promise<string[]>> {
  await page.addInitScript(() => {
    const seen: string[] = []
    Object.assign(window, { seenTexts: seen })
    new MutationObserver(() => {
      const text = document.querySelector('article.answer .markdown')?.textContent ?? ''
      if (text !== (seen.at(-1) ?? '')) seen.push(text)
    }).observe(document, { subtree: true, childList: true, characterData: true })
  })
  return () => page.evaluate(() => (window as unknown as { seenTexts: string[] }).seenTexts)
}

/** Every state must be the beginning of the whole, and each at least as long as the one before. */
export function expectGrowing(states: string[], whole: string): void {
  expect(states.length).toBeGreaterThan(3)
  for (const [i, text] of states.entries()) {
    expect(whole.startsWith(text), `"${text}" is not the beginning of the answer`).toBe(true)
    expect(text.length).toBeGreaterThanOrEqual(states[i - 1]?.length ?? 0)
  }
}
