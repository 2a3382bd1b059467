import { transformAsync } from '@babel/core'
import { lingui } from '@lingui/vite-plugin'
import react from '@vitejs/plugin-react'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'

/** Turns `t` and `<Trans>` into look-ups. Babel reads only the files that use them. */
function macros(): Plugin {
  return {
    name: 'lingui-macros',
    enforce: 'pre',
    transform: {
      filter: { id: /\/src\/.*\.tsx?$/, code: /@lingui\/(react|core)\/macro/ },
      async handler(code, id) {
        const done = await transformAsync(code, {
          filename: id,
          babelrc: false,
          configFile: false,
          sourceMaps: true,
          parserOpts: { plugins: ['jsx', 'typescript'] },
          plugins: ['@lingui/babel-plugin-lingui-macro'],
        })
        return done?.code ? { code: done.code, map: done.map } : null
      },
    },
  }
}

/** Every browser that can run this reads woff2; KaTeX's two older copies of each font would only make the binary bigger. */
function onlyWoff2(): Plugin {
  return {
    name: 'only-woff2',
    enforce: 'pre',
    transform: {
      filter: { id: /katex\.min\.css/ },
      handler: (code) => code.replace(/,url\([^)]*\.(?:woff|ttf)\) format\("(?:woff|truetype)"\)/g, ''),
    },
  }
}

/**
 * Writes into index.html which files the catalogues and the two pages need that people open most, so that theme.js asks
 * for them before the first script has run.
 */
function preloads(): Plugin {
  const parts = {
    en: 'src/locales/en.po',
    pl: 'src/locales/pl.po',
    chat: 'src/chat/markdown/Markdown.tsx',
    '/settings/usage': 'src/usage/UsagePage.tsx',
  }
  return {
    name: 'preloads',
    transformIndexHtml: {
      order: 'post',
      handler(html, { bundle }) {
        if (!bundle) return html.replace('%FILES%', '{}')
        const chunks = Object.values(bundle).filter((file) => file.type === 'chunk')
        const entry = chunks.find((chunk) => chunk.isEntry)
        const filesOf = (chunk: (typeof chunks)[number]): string[] => [
          `/${chunk.fileName}`,
          ...[...(chunk.viteMetadata?.importedCss ?? [])].map((file) => `/${file}`),
          // What the first script imports is in the page already.
          ...chunks
            .filter((c) => chunk.imports.includes(c.fileName) && c !== entry && !entry?.imports.includes(c.fileName))
            .flatMap(filesOf),
        ]
        const files: Record<string, string[]> = {}
        for (const [name, source] of Object.entries(parts)) {
          const chunk = chunks.find((c) => c.facadeModuleId?.endsWith(source))
          if (!chunk) throw new Error(`${source} is no chunk of its own: theme.js cannot ask for it`)
          files[name] = [...new Set(filesOf(chunk))]
        }
        return html.replace('%FILES%', JSON.stringify(files).replaceAll('"', '&quot;'))
      },
    },
  }
}

export default defineConfig({
  plugins: [macros(), onlyWoff2(), preloads(), react(), lingui({ failOnMissing: true, failOnCompileError: true })],
  worker: { format: 'es' },
  build: {
    manifest: true,
    reportCompressedSize: false,
    target: 'es2023',
    // A data: font or image would need a wider content policy for nothing.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { '/api': process.env.MAI_DEV_SERVER ?? 'http://127.0.0.1:8080' } },
  // The property tests take seconds, and on a busy machine many.
  test: { environment: 'happy-dom', include: ['src/**/*.test.{ts,tsx}'], testTimeout: 60_000 },
})
