// Fails when the catalogues are behind the source, or a Polish message is missing. The build checks that they compile.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'

const files = ['src/locales/en.po', 'src/locales/pl.po']
const before = files.map((file) => readFileSync(file, 'utf8'))
execFileSync('lingui', ['extract', '--clean'], { stdio: 'ignore' })
const after = files.map((file) => readFileSync(file, 'utf8'))
files.forEach((file, i) => {
  writeFileSync(file, before[i])
})

/** What matters of a catalogue: its messages, not where in the source they stand. */
const messages = (text) =>
  text
    .replace(/^"POT-Creation-Date.*$/m, '')
    .replace(/^#.*$/gm, '')
    .replace(/\n+/g, '\n')
const behind = files.filter((_, i) => messages(before[i]) !== messages(after[i]))
const missing = [...after[1].matchAll(/^msgid "(.+)"\nmsgstr ""$/gm)].map((m) => m[1])
for (const file of behind) console.error(`${file} is behind the source: run "npm run i18n"`)
for (const text of missing) console.error(`no Polish for: ${text}`)
process.exit(behind.length + missing.length > 0 ? 1 : 0)
