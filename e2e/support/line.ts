import { connect, createServer, type Server, type Socket } from 'node:net'

/** A line between browser and server that can be cut: open connections break, new ones are refused. */
export class Line {
  private readonly open = new Set<Socket>()
  private whole = true

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  static async to(port: number): Promise<Line> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const line = new Line(server, (server.address() as { port: number }).port)
    server.on('connection', (near) => line.join(near, port))
    return line
  }

  private join(near: Socket, port: number): void {
    if (!this.whole) {
      near.resetAndDestroy()
      return
    }
    const far = connect(port, '127.0.0.1')
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.open.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        this.open.delete(socket)
        other.destroy()
      })
      socket.pipe(other)
    }
  }

  cut(): void {
    this.whole = false
    for (const socket of this.open) socket.destroy()
  }

  mend(): void {
    this.whole = true
  }

  async close(): Promise<void> {
    this.cut()
    await new Promise((resolve) => this.server.close(resolve))
  }
}
