import { loadavg } from 'node:os'

export const median = (numbers: number[]) =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN

/** "12.3", or "12.3 (11.8–14.0)" for several runs: the median and the spread. */
export function figure(numbers: number[], digits = 1): string {
  const text = (n: number) => n.toFixed(digits)
  if (numbers.length < 2) return text(numbers[0] ?? Number.NaN)
  return `${text(median(numbers))} (${text(Math.min(...numbers))}–${text(Math.max(...numbers))})`
}

/** Prints rows of what was measured, its figure, and the target. */
export function print(title: string, rows: [what: string, figure: string, target?: string][]): void {
  const load = loadavg()
    .map((n) => n.toFixed(1))
    .join(' ')
  console.log(`\n${title}   (load average ${load})`)
  for (const [what, is, target = ''] of rows) console.log(`  ${what.padEnd(58)} ${is.padEnd(24)} ${target}`)
}
