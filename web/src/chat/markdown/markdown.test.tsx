import { i18n } from '@lingui/core'
import { I18nProvider } from '@lingui/react'
import { MantineProvider } from '@mantine/core'
import { renderToStaticMarkup } from 'react-dom/server'
import { beforeAll, describe, expect, it } from 'vitest'
import { GrowingLexer, lex, lexGrowing } from './lex'
import { safeLink } from './links'
import { Markdown } from './Markdown'
import { unescapeText } from './render'

beforeAll(() => i18n.loadAndActivate({ locale: 'en', messages: {} }))

const html = (text: string, growing = false) =>
  renderToStaticMarkup(
    <I18nProvider i18n={i18n}>
      <MantineProvider withCssVariables={false} withGlobalClasses={false}>
        <Markdown text={text} growing={growing} />
      </MantineProvider>
    </I18nProvider>,
  )

const pieces = [
  'A paragraph with **bold**, *italic*, ~~gone~~ and `code`.\n\n',
  '# Heading\n\n',
  'Setext heading\n---\n\n',
  '- one\n- two\n  - inner\n\n  more of two\n- three\n\n',
  '3. three\n4. four\n\n   continued\n\n',
  '- [ ] open\n- [x] done\n\n',
  '```go\nfunc main() {\n\n\tprintln("$$ not math $$")\n}\n```\n\n',
  '~~~\nplain ``` inside\n~~~\n\n',
  '    indented code\n\n',
  '> quoted\n> > deeper\n\nlazy end\n\n',
  '| a | b |\n|---|--:|\n| 1 | `x|y` |\n| 2 | **z** |\n\n',
  '$$\nS = z\\,\\sigma\\sqrt{L}\n\n\\text{with a blank line}\n$$\n\n',
  '\\[ x^2 \\]\n\n',
  'Inline $a_b$ and \\(c\\) and it costs $5 or $6.\n\n',
  '[link](https://example.com/a(b)c) and <https://example.com> and https://example.com/x.\n\n',
  '![picture](https://tracker.example/p.png)\n\n',
  '---\n\n',
  '<div onclick="x()">raw</div>\n\n',
  'Line one  \nline two\\\nline three\n\n',
  'Zażółć gęślą jaźń 👩‍👩‍👧 and ** not bold ** nor _un_der_scored_.\n\n',
]

/** A small deterministic generator, so that a failure can be repeated. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1664525 + 1013904223) % 4294967296
    return state / 4294967296
  }
}

describe('a growing text', () => {
  it('settles only blocks that the rest cannot change: every prefix equals a whole lex', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const next = random(seed)
      const text = Array.from({ length: 9 }, () => pieces[Math.floor(next() * pieces.length)]).join('')
      const lexer = new GrowingLexer()
      for (let end = 1; end <= text.length; end += 1 + Math.floor(next() * 7)) {
        lexer.push(text.slice(0, end))
        const settled = lexer.settledBlocks.map((b) => b.type + b.raw)
        const whole = lexGrowing(text.slice(0, end)).map((b) => b.type + b.raw)
        expect(settled, `seed ${seed}, at ${end}`).toEqual(whole.slice(0, settled.length))
      }
      lexer.push(text)
      const settled = lexer.settledBlocks.map((b) => b.type + b.raw)
      expect(settled).toEqual(
        lex(text)
          .map((b) => b.type + b.raw)
          .slice(0, settled.length),
      )
    }
  })

  it('draws the same at the end as a text that came at once', () => {
    for (let seed = 40; seed <= 50; seed++) {
      const next = random(seed)
      const text = Array.from({ length: 7 }, () => pieces[Math.floor(next() * pieces.length)])
        .join('')
        .trimEnd()
      const lexer = new GrowingLexer()
      for (let end = 1; end < text.length; end += 11) lexer.push(text.slice(0, end))
      const grown = lexer.push(text).filter((b) => b.type !== 'space')
      expect(grown.map((b) => b.type)).toEqual(
        lex(text)
          .filter((b) => b.type !== 'space')
          .map((b) => b.type),
      )
    }
  })

  it('starts again when the text was replaced by a shorter one', () => {
    const lexer = new GrowingLexer()
    lexer.push('one\n\ntwo\n\nthree\n\nfour')
    expect(lexer.push('other').map((b) => b.raw)).toEqual(['other'])
  })

  it('completes what is half open', () => {
    expect(html('some **bol', true)).toContain('<strong>bol</strong>')
    expect(html('some `co', true)).toContain('<code>co</code>')
    expect(html('```py\nx = 1', true)).toContain('x = 1')
  })

  it('holds a formula back until its end is there', () => {
    expect(html('Before\n\n$$\nS = z', true)).not.toContain('S = z')
    expect(html('Before\n\n\\[\nS = z', true)).not.toContain('S = z')
    expect(html('Before\n\n$$\nS = z')).toContain('S = z')
  })
})

describe('what an answer may draw', () => {
  it.each([
    '<script>alert(1)</script>',
    '<img src=x onerror=alert(1)>',
    'text <b onmouseover="alert(1)">bold</b>',
    '<iframe src="https://evil.example"></iframe>',
    '<svg/onload=alert(1)>',
    '[x](javascript:alert(1))',
    '[x](JaVaScRiPt:alert(1))',
    '[x](&#106;avascript:alert(1))',
    '[x](java\tscript:alert(1))',
    '[x](data:text/html,<script>alert(1)</script>)',
    '[x](vbscript:x)',
    '[x](file:///etc/passwd)',
    '[x](/api/v1/auths/signout)',
    '![x](https://tracker.example/p.png)',
    '![x](javascript:alert(1))',
    '<a href="javascript:alert(1)">x</a>',
    '<style>*{display:none}</style>',
    '<form action="https://evil.example"><input name=password></form>',
    '[x]: javascript:alert(1)\n\n[x]',
    '<javascript:alert(1)>',
    '`<script>alert(1)</script>`',
    '```html\n<script>alert(1)</script>\n```',
  ])('%s', (text) => {
    for (const growing of [false, true]) {
      const out = html(text, growing)
      expect(out).not.toMatch(/<(script|img|iframe|svg onload|style|form|object|embed)\b/i)
      expect(out).not.toMatch(/<[^>]*\son\w+=/i)
      expect(out).not.toMatch(/href="(?!https?:|mailto:|tel:)/i)
    }
  })

  it('opens links elsewhere and without a trace', () => {
    expect(html('[a](https://example.com)')).toContain('target="_blank" rel="noopener noreferrer"')
  })

  it('shows a remote image as a link that names its host', () => {
    const out = html('![chart](https://tracker.example/p.png?d=secret)')
    expect(out).not.toContain('<img')
    expect(out).toContain('chart (tracker.example)')
  })

  it('does not take prices for formulas', () => {
    const types = (text: string) => JSON.stringify(lex(text)).includes('"type":"math"')
    expect(types('It costs $5 now and $6 later.')).toBe(false)
    expect(types('From $5 to $10')).toBe(false)
    expect(types('with $x$ and $a_1 + b$')).toBe(true)
    expect(types('It costs $5 (see file_name) or $6 = a lot.')).toBe(false)
    expect(types('$5 now, \\alpha later, $6')).toBe(false)
    expect(types('$5 in one line_\nand x$')).toBe(false)
    expect(types('for $0 < \\alpha \\le 1$, say')).toBe(true)
    expect(types('a circle of $2 \\pi r$')).toBe(true)
    expect(types('$2 x^2$')).toBe(true)
    expect(types('$1 + 2 = 3$.')).toBe(true)
  })

  it('keeps headings below those of the page', () => {
    expect(html('# Title')).toContain('<h3')
    expect(html('### First\n\n# Up\n\n### Skips\n\n> # Quoted').match(/<h\d/g)).toEqual(['<h3', '<h3', '<h4'])
  })

  it('knows safe addresses', () => {
    expect(safeLink('https://a.example/x')).toBe('https://a.example/x')
    expect(safeLink('mailto:a@b.example')).toBe('mailto:a@b.example')
    expect(safeLink('//evil.example')).toBeUndefined()
    expect(safeLink('javascript:alert(1)')).toBeUndefined()
  })

  it('reads character references', () => {
    expect(unescapeText('a &amp; b &lt;c&gt; &#65; &#x41; &nope; &#0;')).toBe('a & b <c> A A &nope; \ufffd')
  })
})
