/**
 * A metric of prom-client whose values are read when it is scraped, from plain numbers that somebody else counts.
 * It keeps nothing itself, so nothing has to be reset, and a label that is gone is gone from the next scrape.
 */
import type { Metric, Registry } from 'prom-client'

export type Labels = Readonly<Record<string, string | number>>
/** One line of the exposition; `name` where a histogram's differ from the metric's own. */
export interface Sample {
  readonly labels: Labels
  readonly value: number
  readonly name?: string
}

export interface CollectedMetric {
  /** With the prefix; a counter ends in `_total`. */
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  /** The samples as they are read, which may go on for several turns: it walks nothing that changes meanwhile. */
  readonly read: () => Iterable<Sample>
}

const readings = new WeakMap<object, CollectedMetric>()

/** What was added as `metric`; undefined: it is none of ours. */
export function readingOf(metric: object): CollectedMetric | undefined {
  return readings.get(metric)
}

/** Adds the metric to the registry. */
export function collect(registry: Registry, metric: CollectedMetric): void {
  const { name, help, type } = metric
  const collected = {
    name,
    help,
    type,
    aggregator: 'sum',
    get: () => {
      const values = Array.from(metric.read(), ({ labels, value, name: metricName }) =>
        metricName === undefined ? { labels, value } : { labels, value, metricName },
      )
      return Promise.resolve({ name, help, type, values, aggregator: 'sum' })
    },
    reset: () => {},
  }
  // The registry asks of a metric only what stands here; its type names four classes that each count for themselves.
  readings.set(collected, metric)
  registry.registerMetric(collected as unknown as Metric)
}

/** The samples of one histogram, of one moment: cumulative buckets, sum and count. `counts` has one number more than `bounds`. */
export function histogram(
  name: string,
  labels: Labels,
  bounds: readonly number[],
  counts: readonly number[],
  sum: number,
): readonly Sample[] {
  const samples: Sample[] = []
  let total = 0
  for (let i = 0; i < bounds.length; i++) {
    total += counts[i] ?? 0
    samples.push({ name: `${name}_bucket`, labels: { le: bounds[i] ?? 0, ...labels }, value: total })
  }
  total += counts[bounds.length] ?? 0
  samples.push(
    { name: `${name}_bucket`, labels: { le: '+Inf', ...labels }, value: total },
    { name: `${name}_sum`, labels, value: sum },
    { name: `${name}_count`, labels, value: total },
  )
  return samples
}
