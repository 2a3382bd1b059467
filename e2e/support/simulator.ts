import { Program } from './program'

/** One generation on the simulator's bill; costs are USD as decimal text. */
export interface BillLine {
  event: 'accepted' | 'billed'
  id: string
  model: string
  cost?: string
  state?: string
}

/** What a message asks of the simulator; internal/openrouter/sim/directive.go has all of it. */
export interface Directive {
  tokens?: number
  delay_ms?: number
  first_delay_ms?: number
  cost?: string
  answer?: string
  reasoning?: string
  fault?: string
  generation_404_ms?: number
}

/** A message whose answer is steered by a directive. */
export const ask = (text: string, directive: Directive) => `${text} [[sim: ${JSON.stringify(directive)}]]`

/** The answer to a directive that only counts tokens: loss, repetition and disorder would show. */
export const counted = (tokens: number) => Array.from({ length: tokens }, (_, i) => `t${i + 1}`).join(' ')

/** The simulated OpenRouter, a process of its own with its own bill. */
export class Simulator {
  /** The key it accepts. */
  static readonly key = `sk-or-v1-${'51a0'.repeat(16)}`

  private constructor(
    private readonly program: Program,
    /** The base URL of its API. */
    readonly url: string,
  ) {}

  /** Starts one whose answers come at so many tokens a second; 0 is without delay. */
  static async start(rate: number): Promise<Simulator> {
    const args = ['--key', Simulator.key, '--rate', String(rate)]
    const program = await Program.start(process.env.SIM_BIN as string, args, {}, /listening on (\S+)/)
    return new Simulator(program, program.ready)
  }

  private control(path: string, init?: RequestInit): Promise<Response> {
    return fetch(new URL(`/_sim/${path}`, this.url), init)
  }

  async bill(): Promise<BillLine[]> {
    return (await this.control('bill')).json() as Promise<BillLine[]>
  }

  /** How many paid requests arrived, refused ones included. */
  async requests(): Promise<number> {
    return ((await (await this.control('requests')).json()) as unknown[]).length
  }

  /** What the latest request asked of providers. */
  async lastProvider(): Promise<Record<string, unknown>> {
    const all = (await (await this.control('requests')).json()) as { body: { provider: Record<string, unknown> } }[]
    return all.at(-1)?.body.provider ?? {}
  }

  /** Adds or changes a key. */
  async setKey(key: { key: string; disabled?: boolean; limit?: number; limit_reset?: string; management?: boolean }) {
    const response = await this.control('keys', { method: 'POST', body: JSON.stringify(key) })
    if (!response.ok) throw new Error(await response.text())
  }

  stop(): Promise<void> {
    return this.program.kill()
  }
}
