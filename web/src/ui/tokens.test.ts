// @vitest-environment node
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const css = readFileSync(new URL('./tokens.css', import.meta.url), 'utf8')

function variables(block: string): Map<string, string> {
  return new Map([...block.matchAll(/--([\w-]+):\s*([^;]+);/g)].map((m) => [m[1] as string, (m[2] as string).trim()]))
}

const darkAt = css.search(/\[data-mantine-color-scheme="dark"\]/)
const light = variables(css.slice(css.search(/:root\s*\{/), darkAt))
const dark = new Map([...light, ...variables(css.slice(darkAt, css.indexOf('@media', darkAt)))])

function rgb(theme: Map<string, string>, name: string): [number, number, number] {
  let value = theme.get(name) ?? ''
  for (let i = 0; i < 4; i++) value = value.replace(/^var\(--([\w-]+)\)$/, (_, n) => theme.get(n) ?? '')
  const hex = value.replace('#', '').replace(/^(.)(.)(.)$/, '$1$1$2$2$3$3')
  return [0, 2, 4].map((i) => Number.parseInt(hex.slice(i, i + 2), 16)) as [number, number, number]
}

function luminance(color: [number, number, number]): number {
  const [r, g, b] = color.map((c) => {
    const s = c / 255
    return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4
  }) as [number, number, number]
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}

function contrast(theme: Map<string, string>, a: string, b: string): number {
  const [x, y] = [luminance(rgb(theme, a)), luminance(rgb(theme, b))]
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05)
}

const grounds = ['surface', 'canvas', 'sunken', 'hover', 'active']
const text: [string, string][] = [
  ...grounds.flatMap((ground) => ['text', 'text-2', 'text-3'].map((ink): [string, string] => [ink, ground])),
  ['on-accent', 'accent'],
  ['on-accent', 'accent-hover'],
  ['accent-text', 'accent-soft'],
  ['accent-text', 'surface'],
  ['text-3', 'accent-soft'],
  ...['good', 'warn', 'bad'].flatMap((tone): [string, string][] => [
    [tone, `${tone}-soft`],
    [tone, 'surface'],
    [tone, 'canvas'],
    ['text-2', `${tone}-soft`],
  ]),
  ...['key', 'str', 'num', 'com', 'fn'].map((part): [string, string] => [`code-${part}`, 'sunken']),
]
const shapes: [string, string][] = [
  ['control', 'surface'],
  ['control', 'canvas'],
  ['focus', 'surface'],
  ['focus', 'canvas'],
  ...['good-dot', 'warn-dot', 'bad-dot', 'c1'].map((dot): [string, string] => [dot, 'surface']),
]

describe.each([
  ['light', light],
  ['dark', dark],
])('%s tokens', (_, theme) => {
  it.each(text)('%s on %s is readable', (ink, ground) =>
    expect(contrast(theme, ink, ground)).toBeGreaterThanOrEqual(4.5),
  )
  it.each(shapes)('%s on %s can be seen', (shape, ground) =>
    expect(contrast(theme, shape, ground)).toBeGreaterThanOrEqual(3),
  )
})
