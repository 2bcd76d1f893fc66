/** The metrics of single workers, where requests run in other processes than this one. Read at scrape time; they steer nothing. */
import type { Registry } from 'prom-client'
import { collect, type Labels, type Sample } from './collected.ts'

/** One worker that is there. */
export interface WorkerFigures {
  readonly slot: number
  /** Of clients. */
  readonly connections: number
  /** CPU time since it began, ms. */
  readonly cpuMs: number
  readonly residentBytes: number
}

export interface WorkerSource {
  /** Resolves when the figures are fresh, or soon. */
  refresh(): Promise<void>
  figures(): { readonly workers: Iterable<WorkerFigures>; readonly messagesLost: number }
}

export function addWorkers(registry: Registry, source: WorkerSource): void {
  const each = (name: string, help: string, value: (figures: WorkerFigures) => number): void =>
    collect(registry, {
      name: `fairlead_worker_${name}`,
      help,
      type: 'gauge',
      *read(): Generator<Sample> {
        for (const figures of source.figures().workers)
          yield { labels: { worker: String(figures.slot) } satisfies Labels, value: value(figures) }
      },
    })
  each('connections', 'Connections of clients, by worker process', ({ connections }) => connections)
  each(
    'cpu_seconds',
    'CPU time of a worker process since it began; falls when it is replaced',
    ({ cpuMs }) => cpuMs / 1_000,
  )
  each('resident_memory_bytes', 'Resident memory, by worker process', ({ residentBytes }) => residentBytes)
  collect(registry, {
    name: 'fairlead_worker_messages_lost_total',
    help: 'What workers had to tell of deaths and troubled requests and gave up, since nobody took it in time',
    type: 'counter',
    *read(): Generator<Sample> {
      yield { labels: {}, value: source.figures().messagesLost }
    },
  })
}
