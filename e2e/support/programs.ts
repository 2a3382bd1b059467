// Before all tests: finds or builds the programs the tests start and tells the workers where they are.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '../..')

export default function findPrograms(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'mai-e2e-bin-'))
  process.env.MAI_BIN ||= join(root, 'bin/mai')
  if (!existsSync(process.env.MAI_BIN)) {
    throw new Error(`${process.env.MAI_BIN} does not exist. Run \`make build\`, or set MAI_BIN.`)
  }
  for (const [name, source] of [
    ['SIM_BIN', './cmd/openrouter-sim'],
    ['LONGCHAT_BIN', './tools/longchat'],
  ] as const) {
    if (process.env[name]) continue
    process.env[name] = join(folder, name)
    execFileSync('go', ['build', '-o', process.env[name], source], {
      cwd: root,
      env: { ...process.env, CGO_ENABLED: '0' },
      stdio: 'inherit',
    })
  }
  return () => rmSync(folder, { recursive: true, force: true })
}
