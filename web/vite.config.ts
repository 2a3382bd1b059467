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

export default defineConfig({
  plugins: [macros(), onlyWoff2(), react(), lingui({ failOnMissing: true, failOnCompileError: true })],
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
  test: { environment: 'happy-dom', include: ['src/**/*.test.{ts,tsx}'] },
})
