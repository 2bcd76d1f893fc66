/** The demonstration. */
export interface DemoOptions {
  readonly forMs: number | undefined
  readonly killEveryMs: number
}

export function runDemo(options: DemoOptions): Promise<void> {
  return Promise.reject(new Error(`not here yet: ${JSON.stringify(options)}`))
}
