// Fails when a message of the source is missing from the catalogues or a catalogue has an empty translation.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'

const files = ['src/locales/en.po', 'src/locales/pl.po']
const before = files.map((f) => readFileSync(f, 'utf8'))
execFileSync('lingui', ['extract', '--clean'], { stdio: 'ignore' })
const after = files.map((f) => readFileSync(f, 'utf8'))
const strip = (text) => text.replace(/^"POT-Creation-Date.*$/m, '').replace(/^#: .*$/gm, '')
let failed = false
files.forEach((file, i) => {
  writeFileSync(file, before[i])
  if (strip(before[i]) !== strip(after[i])) {
    console.error(`${file} is behind the source: run "npm run i18n"`)
    failed = true
  }
})
execFileSync('lingui', ['compile', '--strict', '--typescript', '--output-dir', '/dev/null'].slice(0, 2), {
  stdio: 'inherit',
})
process.exit(failed ? 1 : 0)
