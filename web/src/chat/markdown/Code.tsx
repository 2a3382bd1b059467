import { useLingui } from '@lingui/react/macro'
import { IconTextWrap } from '@tabler/icons-react'
import { memo, useEffect, useRef, useState } from 'react'
import { IconButton } from '../../ui/Button'
import { CopyButton } from '../../ui/CopyButton'
import { highlight } from './highlight'
import type { Piece } from './highlight.worker'

const names: Record<string, string> = {
  py: 'Python',
  python: 'Python',
  js: 'JavaScript',
  javascript: 'JavaScript',
  ts: 'TypeScript',
  typescript: 'TypeScript',
  tsx: 'TSX',
  jsx: 'JSX',
  go: 'Go',
  sql: 'SQL',
  sh: 'Shell',
  bash: 'Bash',
  json: 'JSON',
  yaml: 'YAML',
  yml: 'YAML',
  html: 'HTML',
  css: 'CSS',
  cs: 'C#',
  csharp: 'C#',
  java: 'Java',
  rust: 'Rust',
}

/** While code grows it is coloured again at most this often, in milliseconds. */
const colourEvery = 300

/** Longer code than this stays plain: colouring it would cost more than it shows. */
const longestColoured = 60_000

const Lines = memo(function Lines({ lines }: { lines: Piece[][] }) {
  return lines.map((line, i) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: lines have no other identity
    <span key={i}>
      {line.map(([text, color], j) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: pieces have no other identity
        <span key={j} style={color && color !== 'var(--sk-foreground)' ? { color } : undefined}>
          {text}
        </span>
      ))}
      {i < lines.length - 1 ? '\n' : ''}
    </span>
  ))
})

interface Coloured {
  code: string
  lines: Piece[][]
}

/** The colours of code, renewed while it grows: one request at a time, each for the newest version. */
function useColours(code: string, language: string): Coloured | null {
  const [coloured, setColoured] = useState<Coloured | null>(null)
  const [unknown, setUnknown] = useState('')
  const newest = useRef({ code, language })
  const busy = useRef(false)
  newest.current = { code, language }
  useEffect(() => {
    if (!language || language === unknown || busy.current || code.length > longestColoured || coloured?.code === code)
      return
    busy.current = true
    const ask = async () => {
      const wanted = newest.current
      const lines = await highlight(wanted.code, wanted.language)
      busy.current = false
      if (lines) setColoured({ code: wanted.code, lines })
      // A name that is still being written ("pyth") is unknown too; the next one is asked for again.
      else setUnknown(wanted.language)
    }
    setTimeout(ask, coloured ? colourEvery : 40)
  }, [code, language, coloured, unknown])
  return coloured
}

/** A block of code: language, wrap, copy; it scrolls within itself. */
export const Code = memo(function Code({ code, language }: { code: string; language: string }) {
  const { t } = useLingui()
  const coloured = useColours(code, language)
  const [wrap, setWrap] = useState(false)
  const name = names[language.toLowerCase()] ?? (language || t`Text`)
  // Colours of a shorter version stay while more arrives: the coloured part does not flicker back to plain.
  const rest = coloured && code.startsWith(coloured.code) ? code.slice(coloured.code.length) : null
  return (
    <figure className="code" aria-label={name}>
      <figcaption>
        <span className="space">{name}</span>
        <IconButton
          label={t`Wrap lines`}
          icon={IconTextWrap}
          small
          aria-pressed={wrap}
          onClick={() => setWrap(!wrap)}
        />
        <CopyButton text={code} label={t`Copy code`} />
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
      <pre tabIndex={0} className={wrap ? 'wrap-lines' : undefined}>
        <code>
          {coloured && rest !== null ? (
            <>
              <Lines lines={coloured.lines} />
              {rest}
            </>
          ) : (
            code
          )}
        </code>
      </pre>
    </figure>
  )
})
