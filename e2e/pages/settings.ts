import { expect, type Locator, type Page } from '@playwright/test'
import { pico } from '../support/money'

/** Fills the page of the first registration. */
export async function createFirstAccount(page: Page, person: { name: string; email: string; password: string }) {
  await page.getByLabel('Name', { exact: true }).fill(person.name)
  await page.getByLabel('Work e-mail').fill(person.email)
  await page.getByLabel('Password', { exact: true }).fill(person.password)
  await page.getByRole('button', { name: 'Create account' }).click()
}

export async function signIn(page: Page, person: { email: string; password: string }): Promise<void> {
  await page.getByLabel('E-mail').fill(person.email)
  await page.getByLabel('Password', { exact: true }).fill(person.password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
}

/** Settings → Connections. */
export class ConnectionsPage {
  constructor(readonly page: Page) {}

  get baseURL(): Locator {
    return this.page.getByLabel('Base URL')
  }

  get key(): Locator {
    return this.page.getByLabel('API key', { exact: true })
  }

  get problem(): Locator {
    return this.page.getByRole('alert')
  }

  async verify(key: string): Promise<void> {
    await this.key.fill(key)
    await this.page.getByRole('button', { name: 'Verify', exact: true }).click()
  }

  async save(): Promise<void> {
    await this.page.getByRole('button', { name: 'Save and verify' }).click()
  }
}

/** The card of the data policy, in Settings → Connections. */
export class PolicyCard {
  constructor(readonly page: Page) {}

  async open(): Promise<void> {
    await this.page.goto('/settings/connections')
    await expect(this.noTraining).toBeVisible()
  }

  get root(): Locator {
    return this.page.locator('form').filter({ has: this.page.getByRole('heading', { name: 'Data policy' }) })
  }

  get noTraining(): Locator {
    return this.page.getByRole('switch', { name: 'No training on our data' })
  }

  get zeroRetention(): Locator {
    return this.page.getByRole('switch', { name: 'Zero-retention providers only' })
  }

  /** What a screen reader hears of the effect, too. */
  get status(): Locator {
    return this.root.getByRole('status')
  }

  get saveButton(): Locator {
    return this.page.getByRole('button', { name: 'Save policy' })
  }

  async places(...names: string[]): Promise<void> {
    await this.page.getByRole('radio', { name: 'Chosen places' }).click()
    for (const name of names) await this.page.getByRole('checkbox', { name, exact: true }).check()
  }

  async providers(...names: string[]): Promise<void> {
    await this.page.getByRole('radio', { name: 'Only chosen' }).click()
    for (const name of names) await this.page.getByRole('checkbox', { name: new RegExp(`^${name}`) }).check()
  }

  async save(): Promise<void> {
    await this.saveButton.click()
    await expect(this.status).toContainText('Saved. It applies from the next message on.')
  }
}

/** Settings → Usage. */
export class UsagePage {
  constructor(readonly page: Page) {}

  async open(): Promise<void> {
    await this.page.goto('/settings/usage')
    await expect(this.page.getByRole('heading', { name: 'Usage', level: 1 })).toBeVisible()
  }

  /** An exact amount among the figures, by its term: `Today` or the name of a month. */
  async figure(term: string): Promise<bigint> {
    const stat = this.page.locator('.stat').filter({ has: this.page.getByText(term, { exact: true }) })
    return pico((await stat.locator('.figure').textContent()) ?? '')
  }

  async changeLimit(amount: string): Promise<void> {
    await this.page.getByRole('link', { name: 'per month' }).click()
    await this.page.getByRole('button', { name: 'More for The whole company' }).click()
    await this.page.getByRole('menuitem', { name: 'Change' }).click()
    const dialog = this.page.getByRole('dialog')
    await dialog.getByLabel('Limit, USD').fill(amount)
    await dialog.getByRole('button', { name: 'Save' }).click()
    await expect(dialog).toBeHidden()
  }

  async setLimit(amount: string): Promise<void> {
    await this.page.getByRole('link', { name: 'Set a limit' }).click()
    await this.page.getByRole('button', { name: 'New budget' }).click()
    const dialog = this.page.getByRole('dialog', { name: 'New budget' })
    await dialog.getByLabel('Limit, USD').fill(amount)
    await dialog.getByRole('button', { name: 'Create' }).click()
    await expect(dialog).toBeHidden()
  }
}
