import { defineConfig } from '@lingui/conf'
import { formatter } from '@lingui/format-po'

export default defineConfig({
  sourceLocale: 'en',
  locales: ['en', 'pl'],
  catalogs: [{ path: 'src/locales/{locale}', include: ['src'] }],
  // Without line numbers and dates a catalogue changes only where its sentences do.
  format: formatter({ lineNumbers: false, printPlaceholdersInComments: true }),
  orderBy: 'messageId',
})
