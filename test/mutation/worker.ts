/**
 * Runs rule cases against instrumented code, one mutant at a time, as its parent asks. A parent that hears nothing for
 * long ends this process: some mutants loop for ever.
 */
import { errorText } from '../../src/core/errors.ts'
import type { Job } from '../fixtures/cases.ts'
import { collected } from './no-tap.ts'
import { switches } from './switch.ts'

/** What the parent asks for. */
export type Order =
  { readonly kind: 'cover' } | { readonly kind: 'try'; readonly mutant: number; readonly jobs: readonly number[] }

/** What it hears. */
export type Report =
  | { readonly kind: 'ready'; readonly jobs: number }
  | { readonly kind: 'covered'; readonly job: number; readonly reached: readonly number[]; readonly error: string }
  | { readonly kind: 'cover-done' }
  | { readonly kind: 'tried'; readonly mutant: number; readonly killedBy: string }

const jobLimitMs = 3_000
const side = 24

function report(message: Report): void {
  process.send?.(message)
}

let crash: ((error: unknown) => void) | undefined
process.on('uncaughtException', (error) => crash?.(error))
process.on('unhandledRejection', (error) => crash?.(error))

function limited(job: Job): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('takes too long')), jobLimitMs)
    job.run().then(
      () => {
        clearTimeout(timer)
        resolve()
      },
      (error: unknown) => {
        clearTimeout(timer)
        reject(error instanceof Error ? error : new Error(errorText(error)))
      },
    )
  })
}

/** One case after the other, so that what is reached can be told apart. */
async function cover(): Promise<void> {
  for (const [index, job] of collected.entries()) {
    const reached = new Set<number>()
    switches.reached = reached
    let error = ''
    await limited(job).catch((thrown: unknown) => (error = `${job.name}: ${errorText(thrown)}`))
    report({ kind: 'covered', job: index, reached: [...reached], error })
  }
  switches.reached = undefined
  report({ kind: 'cover-done' })
}

/** The first case that fails; '' when none does. */
async function attempt(mutant: number, jobs: readonly number[]): Promise<string> {
  return new Promise((resolve) => {
    let ended = false
    const end = (killedBy: string): void => {
      if (ended) return
      ended = true
      switches.active = -1
      resolve(killedBy)
    }
    crash = (error) => end(`crash: ${errorText(error)}`)
    switches.active = mutant
    const waiting = jobs.values()
    const worker = async (): Promise<void> => {
      for (const index of waiting) {
        const job = collected[index]
        if (job) await limited(job).catch(() => end(job.name))
        if (ended) return
      }
    }
    void Promise.all(Array.from({ length: Math.min(side, jobs.length) }, worker)).then(() => end(''))
  })
}

process.on('message', (order: Order) => {
  if (order.kind === 'cover') void cover()
  else
    void attempt(order.mutant, order.jobs).then((killedBy) => report({ kind: 'tried', mutant: order.mutant, killedBy }))
})
process.on('disconnect', () => process.exit())

for (const file of process.argv.slice(2)) await import(file)
report({ kind: 'ready', jobs: collected.length })
