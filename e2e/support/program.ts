import { type ChildProcess, spawn } from 'node:child_process'

/** How long a program may take to say that it is ready, in milliseconds. */
const patience = 15_000

const alive = new Set<ChildProcess>()
// The last resort when a worker ends without its teardown: nothing may outlive the tests.
process.once('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

/** A program of ours as a process. */
export class Program {
  private constructor(
    private readonly child: ChildProcess,
    private readonly ended: Promise<void>,
    /** Everything it wrote so far. */
    readonly log: { text: string },
    /** The first group of the pattern that said it is ready. */
    readonly ready: string,
  ) {}

  /** Starts a program with exactly the given environment and waits until its output matches the pattern. */
  static async start(file: string, args: string[], env: Record<string, string>, pattern: RegExp): Promise<Program> {
    const child = spawn(file, args, { env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    alive.add(child)
    const log = { text: '' }
    const ended = new Promise<void>((resolve) => {
      child.once('close', () => {
        alive.delete(child)
        resolve()
      })
    })
    const ready = await new Promise<string>((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`${file} ${args.join(' ')}: ${why}\n${log.text}`))
      const timer = setTimeout(() => {
        child.kill('SIGKILL')
        fail('was not ready in time')
      }, patience)
      const read = (bytes: Buffer) => {
        log.text += bytes
        const found = pattern.exec(log.text)?.[1]
        if (!found) return
        clearTimeout(timer)
        resolve(found)
      }
      child.stdout?.on('data', read)
      child.stderr?.on('data', read)
      child.once('error', (error) => fail(error.message))
      void ended.then(() => {
        clearTimeout(timer)
        fail('ended at once')
      })
    })
    return new Program(child, ended, log, ready)
  }

  /** Ends it like a power cut: kill -9. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.ended
  }
}
