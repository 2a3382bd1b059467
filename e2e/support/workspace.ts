import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Program } from './program'

/** A running `mai serve` on a folder of its own. */
export class Workspace {
  private constructor(
    private program: Program,
    private readonly folder: string,
    private readonly env: Record<string, string>,
    readonly port: number,
  ) {}

  static async start(env: Record<string, string>): Promise<Workspace> {
    const folder = await mkdtemp(join(tmpdir(), 'mai-e2e-'))
    try {
      const program = await serve(folder, env, 0)
      return new Workspace(program, folder, env, Number(program.ready))
    } catch (error) {
      await rm(folder, { recursive: true, force: true })
      throw error
    }
  }

  /** The address on this machine. */
  get url(): string {
    return `http://localhost:${this.port}`
  }

  get log(): string {
    return this.program.log.text
  }

  /** kill -9. */
  kill(): Promise<void> {
    return this.program.kill()
  }

  /** Starts it again on the same folder and port. */
  async restart(): Promise<void> {
    this.program = await serve(this.folder, this.env, this.port)
  }

  /** What whoever replaces the server asks of it first: to take no new paid calls. With `off` it takes them again. */
  drain(wait: string): void {
    this.run('drain', ...(wait === 'off' ? ['--off'] : ['--wait', wait]))
  }

  /** The provider's test of a deployment: a call that nobody is charged for. */
  accept(): void {
    this.run('accept')
  }

  private run(...command: string[]): void {
    const args = [...command, '--data', this.folder]
    execFileSync(process.env.MAI_BIN as string, args, { env: { PATH: process.env.PATH } })
  }

  /** Writes a chat of so many messages while the server is down, and returns its id. */
  async addLongChat(userId: string, messages: number): Promise<string> {
    await this.kill()
    const args = ['--data', this.folder, '--user', userId, '--messages', String(messages)]
    const id = execFileSync(process.env.LONGCHAT_BIN as string, args, { encoding: 'utf8' }).trim()
    await this.restart()
    return id
  }

  async remove(): Promise<void> {
    await this.program.kill()
    await rm(this.folder, { recursive: true, force: true })
  }
}

const serve = (folder: string, env: Record<string, string>, port: number) =>
  Program.start(
    process.env.MAI_BIN as string,
    ['serve', '--addr', `127.0.0.1:${port}`, '--data', folder],
    env,
    /"mai is ready","addr":"127\.0\.0\.1:(\d+)"/,
  )
