// Markdown to tokens. `marked` does the CommonMark and GFM grammar; mathematics is added here. Nothing makes HTML:
// the tokens become React elements one by one, so what is not drawn on purpose cannot get in.
import { Marked, type Token, type TokenizerAndRendererExtension } from 'marked'
import remend from 'remend'

export type { Token, Tokens } from 'marked'

export interface MathToken {
  type: 'math' | 'blockMath' | 'openMath'
  raw: string
  text: string
}

/** An opened `$$` without its end is held back this far; then it is shown as it is. */
const longestMath = 6_000

const block = (streaming: boolean): TokenizerAndRendererExtension => ({
  name: 'blockMath',
  level: 'block',
  start: (src) => /(^|\n) {0,3}(\$\$|\\\[)/.exec(src)?.index,
  tokenizer(src) {
    const closed =
      /^ {0,3}\$\$((?:\\[\s\S]|[^$\\]){1,6000}?)\$\$[ \t]*(?:\n+|$)/.exec(src) ??
      /^ {0,3}\\\[([\s\S]{1,6000}?)\\\][ \t]*(?:\n+|$)/.exec(src)
    if (closed) return { type: 'blockMath', raw: closed[0], text: (closed[1] ?? '').trim() }
    if (!streaming || src.length > longestMath) return undefined
    const open = /^ {0,3}(\$\$|\\\[)/.exec(src)
    // Text after the end of the formula makes it inline mathematics, which is not open any more.
    if (!open || (open[1] === '$$' ? src.indexOf('$$', open[0].length) >= 0 : src.includes('\\]'))) return undefined
    return { type: 'openMath', raw: src, text: '' }
  },
})

/** Tells that what stands between two single dollars is text after a price, as in "$5 and $6". */
const isPrice = (text: string) =>
  /^\s|\s$/.test(text) ||
  (/^\d[\d.,]* /.test(text) && !/^\d[\d.,]* *[a-z]*$/i.test(text) && !/\\[a-z]|[\^_=<>]/i.test(text))

const inline: TokenizerAndRendererExtension = {
  name: 'math',
  level: 'inline',
  start: (src) => /\$|\\\(|\\\[/.exec(src)?.index,
  tokenizer(src) {
    const found =
      /^\$\$((?:\\[\s\S]|[^$\\]){1,2000}?)\$\$/.exec(src) ??
      // A price is not a formula: no space inside the dollars, no digit after the second one.
      /^\$((?:\\[^\n]|[^$\\\n]){1,600}?)\$(?![\d$])/.exec(src) ??
      /^\\\(([\s\S]{1,2000}?)\\\)/.exec(src) ??
      /^\\\[([\s\S]{1,2000}?)\\\]/.exec(src)
    if (!found) return undefined
    const text = found[1] ?? ''
    if (src[0] === '$' && src[1] !== '$' && isPrice(text)) return undefined
    return { type: 'math', raw: found[0], text: text.trim() }
  },
}

const whole = new Marked({ gfm: true, extensions: [block(false), inline] })
const growing = new Marked({ gfm: true, extensions: [block(true), inline] })

/** The top-level blocks of a finished text. */
export const lex = (text: string): Token[] => whole.lexer(text)

/** The top-level blocks of a text that is still being written, with nothing half-open completed yet. */
export const lexGrowing = (text: string): Token[] => growing.lexer(text)

/** Blocks at the end that a later character could still change. */
const unsettled = 2

/**
 * Lexes a growing text. Blocks that nothing can change any more are kept; only the end is lexed again with each call.
 * The last block is completed where its syntax is half-open, so `**bol` does not show its stars.
 */
export class GrowingLexer {
  private settled: Token[] = []
  private length = 0
  private text = ''

  push(text: string): Token[] {
    if (!text.startsWith(this.text.slice(0, this.length))) {
      this.settled = []
      this.length = 0
    }
    this.text = text
    const rest = text.slice(this.length)
    const tail = lexGrowing(rest)
    let keep = tail.length
    for (let solid = 0; keep > 0 && solid < unsettled; keep--) if (tail[keep - 1]?.type !== 'space') solid++
    let taken = 0
    for (const token of tail.slice(0, keep)) {
      this.settled.push(token)
      taken += token.raw.length
    }
    this.length += taken
    return [...this.settled, ...complete(tail.slice(keep))]
  }

  /** Blocks as they are, for comparing with a whole lex. */
  get settledBlocks(): readonly Token[] {
    return this.settled
  }
}

function complete(tail: Token[]): Token[] {
  const last = tail.at(-1)
  if (!last || last.type === 'code' || last.type === 'openMath' || last.type === 'blockMath') return tail
  const mended = remend(last.raw, { katex: false } as never)
  if (mended === last.raw) return tail
  return [...tail.slice(0, -1), ...lexGrowing(mended)]
}
