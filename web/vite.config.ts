import { lingui } from '@lingui/vite-plugin'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  plugins: [react(), lingui({ macroTransform: true, failOnMissing: true, failOnCompileError: true })],
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
