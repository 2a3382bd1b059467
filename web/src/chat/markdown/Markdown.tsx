import { type CSSProperties, memo, useRef } from 'react'
import { useFar } from './far'
import { GrowingLexer, lex, type Token } from './lex'
import { blockToken, headingLevels } from './render'

/** A block re-renders only when its own source changes, so a finished block costs nothing while more arrives. */
const Block = memo(
  function Block({ token, level, room }: { token: Token; level?: number; room?: CSSProperties }) {
    return room ? <div style={room} /> : blockToken(token, level)
  },
  (before, after) =>
    before.token.raw === after.token.raw &&
    before.token.type === after.token.type &&
    before.level === after.level &&
    before.room === after.room &&
    // A reference link may find its address only later.
    !after.token.raw.includes(']['),
)

/** An answer as Markdown. While it grows, only its end is lexed and drawn again. */
export const Markdown = memo(function Markdown({ text, growing }: { text: string; growing?: boolean }) {
  const lexer = useRef<GrowingLexer | null>(null)
  let tokens: Token[]
  if (growing) {
    lexer.current ??= new GrowingLexer()
    tokens = lexer.current.push(text)
  } else {
    lexer.current = null
    tokens = lex(text)
  }
  const solid = tokens.filter((token) => token.type !== 'space')
  const levels = headingLevels(solid)
  const box = useRef<HTMLDivElement>(null)
  const rooms = useFar(box, solid.length)
  return (
    <div ref={box} className={growing ? 'markdown growing' : 'markdown'}>
      {solid.map((token, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the order of blocks never changes, only their end grows
        <Block key={i} token={token} level={levels.get(token)} room={rooms.get(i)} />
      ))}
    </div>
  )
})
