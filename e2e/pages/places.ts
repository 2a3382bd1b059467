// Every page there is, for what must hold on all of them.
import type { Page } from '@playwright/test'

/** Pages of a signed-in admin. */
export const insidePages = [
  '/',
  '/settings/profile',
  '/settings/appearance',
  '/settings/api-key',
  '/settings/data-policy',
  '/settings/connections',
  '/settings/users',
  '/settings/usage',
  '/settings/budgets',
  '/no/such/page',
]

/** An answer with everything an answer can hold. */
export const richAnswer = `## Smoothing a noisy series

The weight of a value that is $k$ steps old is $\\alpha(1-\\alpha)^k$:

$$
s_t = \\alpha\\, x_t + (1 - \\alpha)\\, s_{t-1}
$$

\`\`\`python
def smooth(values, alpha=0.3):
    return [alpha * value for value in values]  # a long line that has to scroll inside its own block on a phone
\`\`\`

| Month | Customer | Revenue | Invoices |
|---|---|---:|---:|
| 2026-01 | Northwind | 18,420.00 | 12 |
| 2026-02 | Contoso | 9,310.50 | 7 |

1. A **small** value gives a *calm* curve, see [the text](https://example.test/smoothing).
2. \`alpha = 0.25\` is a good first guess.

> A question for later.

- [x] measured
- [ ] agreed`

/** Opens a page and waits until everything it asked for has come. */
export async function visit(page: Page, path: string): Promise<void> {
  await page.goto(path)
  await page.getByRole('heading', { level: 1 }).waitFor()
  await page.waitForLoadState('networkidle')
}
