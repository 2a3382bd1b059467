import { useLingui } from '@lingui/react/macro'
import { IconTextWrap } from '@tabler/icons-react'
import { memo, useEffect, useState } from 'react'
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

/** After this pause in the code's growth it is coloured; until then it is plain. */
const settle = 150

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

/** A block of code: language, wrap, copy; it scrolls within itself. */
export const Code = memo(function Code({ code, language }: { code: string; language: string }) {
  const { t } = useLingui()
  const [coloured, setColoured] = useState<{ code: string; lines: Piece[][] } | null>(null)
  const [wrap, setWrap] = useState(false)
  useEffect(() => {
    if (!language) return
    let current = true
    const timer = setTimeout(async () => {
      const lines = await highlight(code, language)
      if (current && lines) setColoured({ code, lines })
    }, settle)
    return () => {
      current = false
      clearTimeout(timer)
    }
  }, [code, language])
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
