/** The soak's instances as their conductor has them: the process that holds them all, told what to open and what to close. */
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Child, startChild } from '../../test/faults/lib/children.ts'

export type Order =
  | { readonly kind: 'open'; readonly name: string; readonly service: string; readonly host: string }
  /** At once, with whatever is still open there. */
  | { readonly kind: 'close'; readonly name: string }

/** An instance listens; the first one, without a name, says that orders are taken. */
export interface Report {
  readonly name: string
  readonly port: number
}

const program = fileURLToPath(new URL('backend.ts', import.meta.url))

export class Backends {
  readonly #child: Child
  /** By name; that without one is the process itself. */
  readonly #waiting = new Map<string, (port: number) => void>()

  private constructor(child: Child) {
    this.#child = child
    const { stdin, stdout } = child.process
    if (!stdin || !stdout) throw new Error('the backends have no pipes')
    stdin.on('error', () => {})
    createInterface(stdout).on('line', (line) => {
      const { name, port } = JSON.parse(line) as Report
      this.#waiting.get(name)?.(port)
      this.#waiting.delete(name)
    })
  }

  static async start(): Promise<Backends> {
    const backends = new Backends(startChild([process.execPath, program], ['pipe', 'pipe', 'inherit']))
    await backends.#reported('')
    return backends
  }

  /** Opens an instance; resolves with its port. */
  async open(name: string, service: string, host: string): Promise<number> {
    const port = this.#reported(name)
    this.#order({ kind: 'open', name, service, host })
    return await port
  }

  /** Nothing waits for it: what was open there is cut. */
  close(name: string): void {
    this.#order({ kind: 'close', name })
  }

  async stop(): Promise<void> {
    await this.#child.kill()
  }

  #order(order: Order): void {
    this.#child.process.stdin?.write(`${JSON.stringify(order)}\n`)
  }

  async #reported(name: string): Promise<number> {
    const reported = new Promise<number>((resolve) => this.#waiting.set(name, resolve))
    const ended = this.#child.ended.then(() => Promise.reject(new Error('the backends ended')))
    return await Promise.race([reported, ended])
  }
}
