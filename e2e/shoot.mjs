import { chromium } from '@playwright/test'
import { mkdirSync } from 'node:fs'
const url = process.argv[2], out = process.argv[3], only = process.argv[4]
mkdirSync(out, { recursive: true })
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--headless', '--no-sandbox', '--disable-gpu'] })
for (const [size, viewport] of Object.entries({ 1280: { width: 1280, height: 800 }, 390: { width: 390, height: 844 } })) {
  for (const colorScheme of ['light', 'dark']) {
    const context = await browser.newContext({ baseURL: url, viewport, colorScheme, locale: 'en-GB', timezoneId: 'Europe/Warsaw', isMobile: size === '390', hasTouch: size === '390', reducedMotion: 'reduce' })
    const page = await context.newPage()
    const shot = async (name, full) => { await page.evaluate(() => document.fonts.ready); await page.waitForTimeout(400); await page.screenshot({ path: `${out}/${name}-${size}-${colorScheme}.png`, fullPage: !!full }) }
    await page.goto('/'); await page.getByRole('heading', { level: 1 }).waitFor(); await shot('signin')
    const r = await context.request.post('/api/v1/auths/signin', { data: { email: process.argv[5] ?? 'anna@karpacz.example', password: 'demo demo demo' } })
    if (!r.ok()) throw new Error(await r.text())
    const chats = (await (await context.request.get('/api/v1/chats')).json()).items
    await page.goto('/'); await page.getByRole('textbox').first().waitFor(); await shot('home')
    for (const [i, c] of chats.entries()) {
      if (only && !only.split(',').includes(String(i))) continue
      await page.goto('/c/' + c.id).catch(() => {}); await page.waitForTimeout(900); await shot('chat-' + i)
      if (size==='1280' && colorScheme==='light') { await page.setViewportSize({width:1280,height:2600}); await shot('tall-' + i); await page.setViewportSize(viewport) }
    }
    if (size === '390') { await page.goto('/'); await page.waitForTimeout(600); await page.getByRole('button', { name: 'Menu' }).click(); await page.waitForTimeout(400); await shot('drawer') }
    for (const p of ['profile', 'appearance', 'api-key', 'connections', 'users', 'usage']) {
      await page.goto('/settings/' + p); await page.getByRole('heading', { level: 1 }).waitFor(); await page.waitForLoadState('networkidle'); await shot(p)
      if (p === 'usage') { await page.setViewportSize({ width: viewport.width, height: size === '390' ? 4200 : 3600 }); await shot('usage-tall'); await page.setViewportSize(viewport) }
    }
    if (process.argv[5]) { await context.close(); continue }
    await page.goto('/settings/users'); await page.getByRole('button', { name: 'Teams' }).click(); await page.getByRole('dialog').waitFor(); await shot('teams')
    await page.keyboard.press('Escape'); await page.getByRole('button', { name: 'More for Tomasz Wójcik' }).click(); await page.getByRole('menuitem', { name: 'Move to a team' }).click(); await page.getByRole('dialog').waitFor(); await shot('move')
    await context.close()
  }
}
await browser.close()
