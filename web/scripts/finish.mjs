// Runs after `vite build`: writes .br and .gz beside every text file and enforces the size budgets.
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'

const dist = new URL('../dist/', import.meta.url).pathname
const manifestPath = join(dist, '.vite/manifest.json')
const manifest = JSON.parse(readFileSync(manifestPath, 'utf8'))
rmSync(join(dist, '.vite'), { recursive: true })
writeFileSync(
  join(dist, '.keep'),
  'Keeps this folder in a clean clone: the Go package embeds it whether or not the UI was built.\n',
)

/** All files under a folder, relative to dist. */
const walk = (dir) =>
  readdirSync(join(dist, dir)).flatMap((name) => {
    const path = join(dir, name)
    return statSync(join(dist, path)).isDirectory() ? walk(path) : [path]
  })

const sizes = new Map()
for (const path of walk('.')) {
  if (!/\.(js|css|html|svg|json)$/.test(path)) continue
  const body = readFileSync(join(dist, path))
  const gz = gzipSync(body, { level: 9 })
  const br = brotliCompressSync(body, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: body.length },
  })
  writeFileSync(join(dist, `${path}.gz`), gz)
  writeFileSync(join(dist, `${path}.br`), br)
  sizes.set(path, { gz: gz.length, br: br.length })
}

/** Every file that loading these manifest entries loads with them. */
const closure = (keys) => {
  const files = new Set()
  const seen = new Set()
  const visit = (key) => {
    if (seen.has(key)) return
    seen.add(key)
    const chunk = manifest[key]
    if (!chunk) throw new Error(`no ${key} in the manifest`)
    files.add(chunk.file)
    for (const css of chunk.css ?? []) files.add(css)
    for (const next of chunk.imports ?? []) visit(next)
  }
  for (const key of keys) visit(key)
  return [...files]
}
const sum = (files, kind, unit) =>
  files.filter((f) => f.endsWith(kind)).reduce((n, f) => n + sizes.get(f)[unit], 0) / 1000

const composer = ['index.html', 'src/locales/pl.po']
const answer = [...composer, 'src/chat/markdown/Markdown.tsx']
const budgets = [
  ['script until the composer is usable', closure(composer), '.js', 190],
  ['script until the first streamed answer', closure(answer), '.js', 260],
  ['CSS of the whole build', [...sizes.keys()], '.css', 40],
]
let failed = false
for (const [name, files, kind, limit] of budgets) {
  const gz = sum(files, kind, 'gz')
  console.log(
    `${name.padEnd(42)} ${gz.toFixed(1).padStart(7)} kB gz  ${sum(files, kind, 'br').toFixed(1).padStart(7)} kB br  (limit ${limit} kB gz)`,
  )
  if (gz > limit) failed = true
}
const admin = closure(composer).filter((f) => /Usage|Users|Connections|katex/i.test(f))
if (admin.length > 0) {
  console.error(`these must load only when asked for: ${admin.join(', ')}`)
  failed = true
}
if (!existsSync(join(dist, 'index.html'))) failed = true
if (failed) {
  console.error('The build is over its budget.')
  process.exit(1)
}
