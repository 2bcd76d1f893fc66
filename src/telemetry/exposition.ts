/**
 * Renders a registry in pieces, so that no request waits for a whole page: a large catalog has tens of thousands of lines.
 * What a line looks like is prom-client's to say. It keeps nothing.
 */
import { Registry } from 'prom-client'
import { type CollectedMetric, collect, readingOf, type Sample } from './collected.ts'

/** Lines that are made in one turn of the loop: about a millisecond's work. */
export const linesMax = 250

/** The text format in pieces, in order; `pause` is awaited between them. What each tells is of the turn it is made in. */
export async function expose(registry: Registry, pause: () => Promise<void>): Promise<readonly string[]> {
  const pieces: string[] = []
  let lines = 0
  for (const metric of registry.getMetricsAsArray()) {
    const reading = readingOf(metric)
    if (!reading) {
      pieces.push(`${await registry.getSingleMetricAsString(metric.name)}\n\n`)
      continue
    }
    let first = true
    const write = async (samples: readonly Sample[]): Promise<void> => {
      const text = await textOf(reading, samples)
      // What it is is said once.
      pieces.push(first ? text : text.slice(text.indexOf('\n', text.indexOf('\n') + 1) + 1))
      first = false
    }
    let batch: Sample[] = []
    for (const sample of reading.read()) {
      batch.push(sample)
      if (++lines < linesMax) continue
      await write(batch)
      await pause()
      batch = []
      lines = 0
    }
    if (first || batch.length > 0) await write(batch)
    pieces.push('\n')
  }
  return pieces
}

/** A line for each sample, below the two that say what the metric is. */
function textOf(metric: CollectedMetric, samples: readonly Sample[]): Promise<string> {
  const page = new Registry()
  collect(page, { ...metric, read: () => samples })
  return page.metrics()
}
