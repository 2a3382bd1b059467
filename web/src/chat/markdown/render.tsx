// Tokens to React elements. Every element that an answer can make is in this file.
import { Fragment, type ReactNode } from 'react'
import { Code } from './Code'
import type { MathToken, Token, Tokens } from './lex'
import { hostOf, safeLink } from './links'
import { Formula } from './Math'

function Link({ href, children }: { href: string; children: ReactNode }) {
  const url = safeLink(href)
  if (!url) return <>{children}</>
  return (
    <a href={url} target="_blank" rel="noopener noreferrer">
      {children}
    </a>
  )
}

/** A remote image is never loaded unasked: its address could carry what was said out of the house. It becomes a link. */
function ImageLink({ href, alt }: { href: string; alt: string }) {
  const url = safeLink(href)
  if (!url) return <>{alt}</>
  return (
    <a className="image-link" href={url} target="_blank" rel="noopener noreferrer">
      {alt ? `${alt} (${hostOf(url)})` : hostOf(url)}
    </a>
  )
}

const named: Record<string, string> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: '\u00a0',
  copy: '©',
  reg: '®',
  hellip: '…',
  mdash: '—',
  ndash: '–',
  times: '×',
  euro: '€',
  rarr: '→',
  larr: '←',
  deg: '°',
}

/** Character references of Markdown text as the characters they mean. */
export function unescapeText(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(/&(#x[\da-f]{1,6}|#\d{1,7}|[a-z]+);/gi, (all, name: string) => {
    if (name[0] !== '#') return named[name] ?? all
    const code = name[1] === 'x' || name[1] === 'X' ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1))
    return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff) ? String.fromCodePoint(code) : '\ufffd'
  })
}

function inlineToken(token: Token): ReactNode {
  switch (token.type) {
    case 'text':
      return token.tokens ? inline(token.tokens) : unescapeText(token.text)
    case 'escape':
      return token.text
    case 'strong':
      return <strong>{inline(token.tokens)}</strong>
    case 'em':
      return <em>{inline(token.tokens)}</em>
    case 'del':
      return <del>{inline(token.tokens)}</del>
    case 'codespan':
      return <code>{token.text}</code>
    case 'br':
      return <br />
    case 'link':
      return <Link href={token.href}>{inline(token.tokens)}</Link>
    case 'image':
      return <ImageLink href={token.href} alt={unescapeText(token.text)} />
    case 'math':
      return (
        <Formula
          tex={(token as unknown as MathToken).text}
          display={token.raw.startsWith('$$') || token.raw.startsWith('\\[')}
        />
      )
    case 'html':
      return /^<br\s*\/?>$/i.test(token.raw.trim()) ? <br /> : null
    default:
      return null
  }
}

function inline(tokens: Token[] | undefined): ReactNode {
  return tokens?.map((token, i) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: tokens have no other identity
    <Fragment key={i}>{inlineToken(token)}</Fragment>
  ))
}

function Item({ item, loose }: { item: Tokens.ListItem; loose: boolean }) {
  const content = item.tokens.filter((token) => token.type !== 'checkbox')
  return (
    <li className={item.task ? 'task' : undefined}>
      {item.task && (
        <input type="checkbox" checked={item.checked} disabled readOnly aria-label={item.text.slice(0, 60)} />
      )}
      {content.map((token, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: tokens have no other identity
        <Fragment key={i}>{token.type === 'text' && loose ? <p>{inlineToken(token)}</p> : blockToken(token)}</Fragment>
      ))}
    </li>
  )
}

function Table({ token }: { token: Tokens.Table }) {
  const align = (i: number) => (token.align[i] ? { textAlign: token.align[i] ?? undefined } : undefined)
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <div className="table-frame" tabIndex={0}>
      <table>
        <thead>
          <tr>
            {token.header.map((cell, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: cells have no other identity
              <th key={i} style={align(i)}>
                {inline(cell.tokens)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {token.rows.map((row, r) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: rows have no other identity
            <tr key={r}>
              {row.map((cell, i) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: cells have no other identity
                <td key={i} style={align(i)}>
                  {inline(cell.tokens)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/**
 * The level of each heading in the page's outline, from 3 on: never a step of more than one down, whatever the answer
 * does. It looks only at what came before, so a growing text never changes a level.
 */
export function headingLevels(tokens: Token[]): Map<Token, number> {
  const levels = new Map<Token, number>()
  let level = 2
  let depth = 0
  for (const token of tokens) {
    if (token.type !== 'heading') continue
    level = depth === 0 ? 3 : Math.max(3, Math.min(level + token.depth - depth, level + 1, 6))
    depth = token.depth
    levels.set(token, level)
  }
  return levels
}

/** One block as an element. A heading without a level stands inside a list or a quotation and is only strong text. */
export function blockToken(token: Token, level?: number): ReactNode {
  switch (token.type) {
    case 'paragraph':
      return <p>{inline(token.tokens)}</p>
    case 'text':
      return inlineToken(token)
    case 'heading': {
      const Tag = level ? (`h${level}` as 'h3') : 'p'
      return <Tag className={`h${token.depth}`}>{inline(token.tokens)}</Tag>
    }
    case 'code':
      return <Code code={token.text.replace(/\n+$/, '')} language={(token.lang ?? '').split(/[\s{]/)[0] ?? ''} />
    case 'blockquote':
      return <blockquote>{blocks(token.tokens ?? [])}</blockquote>
    case 'list': {
      const items = (token as Tokens.List).items.map((item, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: items have no other identity
        <Item key={i} item={item} loose={token.loose} />
      ))
      return token.ordered ? <ol start={token.start || 1}>{items}</ol> : <ul>{items}</ul>
    }
    case 'table':
      return <Table token={token as Tokens.Table} />
    case 'hr':
      return <hr />
    case 'blockMath':
      return <Formula tex={token.text} display />
    default:
      // Raw HTML, link definitions, space, and mathematics whose end has not arrived.
      return null
  }
}

function blocks(tokens: Token[]): ReactNode {
  return tokens.map((token, i) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: tokens have no other identity
    <Fragment key={i}>{blockToken(token)}</Fragment>
  ))
}
