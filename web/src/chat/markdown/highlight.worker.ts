// Colours code away from the main thread. Colours are CSS variables, so one pass serves light and dark.
import { createCssVariablesTheme, createHighlighterCore, type LanguageInput } from 'shiki/core'
import { createJavaScriptRegexEngine } from 'shiki/engine/javascript'

const languages: Record<string, () => Promise<{ default: LanguageInput }>> = {
  bash: () => import('shiki/langs/bash.mjs') as never,
  c: () => import('shiki/langs/c.mjs') as never,
  csharp: () => import('shiki/langs/csharp.mjs') as never,
  css: () => import('shiki/langs/css.mjs') as never,
  go: () => import('shiki/langs/go.mjs') as never,
  html: () => import('shiki/langs/html.mjs') as never,
  java: () => import('shiki/langs/java.mjs') as never,
  json: () => import('shiki/langs/json.mjs') as never,
  python: () => import('shiki/langs/python.mjs') as never,
  rust: () => import('shiki/langs/rust.mjs') as never,
  sql: () => import('shiki/langs/sql.mjs') as never,
  tsx: () => import('shiki/langs/tsx.mjs') as never,
  typescript: () => import('shiki/langs/typescript.mjs') as never,
  yaml: () => import('shiki/langs/yaml.mjs') as never,
}
const aliases: Record<string, string> = {
  sh: 'bash',
  shell: 'bash',
  zsh: 'bash',
  cs: 'csharp',
  golang: 'go',
  js: 'typescript',
  javascript: 'typescript',
  jsx: 'tsx',
  ts: 'typescript',
  py: 'python',
  rs: 'rust',
  yml: 'yaml',
  xml: 'html',
  jsonc: 'json',
}

const theme = createCssVariablesTheme({ name: 'tokens', variablePrefix: '--sk-' })
const ready = createHighlighterCore({ themes: [theme], langs: [], engine: createJavaScriptRegexEngine() })

/** A piece of a line: its text and its colour, empty for the default. */
export type Piece = [text: string, color: string]

self.onmessage = async ({ data }: MessageEvent<{ id: number; code: string; language: string }>) => {
  const name = aliases[data.language] ?? data.language
  const load = languages[name]
  let lines: Piece[][] | null = null
  if (load) {
    try {
      const highlighter = await ready
      await highlighter.loadLanguage((await load()).default)
      lines = highlighter
        .codeToTokensBase(data.code, { lang: name as never, theme: 'tokens', tokenizeTimeLimit: 5_000 })
        .map((line) => line.map((token): Piece => [token.content, token.color ?? '']))
    } catch {
      // Plain code is still readable code.
    }
  }
  self.postMessage({ id: data.id, lines })
}
