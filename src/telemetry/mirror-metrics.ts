/** The metrics of what is mirrored, read at scrape time. Labels: service and version, and words and classes of ours. */
import type { Registry } from 'prom-client'
import { differenceBucketsMs, type MirrorStats, type VersionStats } from '../live/runtime.ts'
import { classesOf } from '../proxy/mirror.ts'
import { collect, histogram, type Labels, type Sample } from './collected.ts'

/** Adds them to the registry; `versions` is asked at each scrape. */
export function addMirrors(registry: Registry, versions: () => Iterable<VersionStats>): void {
  const add = (
    name: string,
    help: string,
    type: 'counter' | 'gauge' | 'histogram',
    read: (stats: MirrorStats, labels: Labels) => Iterable<Sample>,
  ): void =>
    collect(registry, {
      name,
      help,
      type,
      *read(): Generator<Sample> {
        for (const { service, version, mirrored } of versions())
          if (mirrored) yield* read(mirrored, { service, version })
      },
    })

  add(
    'fairlead_mirrored_requests_total',
    'Requests mirrored to a version, by what became of them: same or different class of status as the client got, and what could not be compared or sent',
    'counter',
    function* ({ outcomes }, labels) {
      for (const [outcome, value] of outcomes) yield { labels: { ...labels, outcome }, value }
    },
  )
  add(
    'fairlead_mirror_failures_total',
    'Mirrored requests that the version gave no whole answer to, by reason',
    'counter',
    function* ({ failures }, labels) {
      for (const [reason, value] of failures) yield { labels: { ...labels, reason }, value }
    },
  )
  add(
    'fairlead_mirror_compared_total',
    'Mirrored requests that were compared, by the class of status that the client got and that of the version',
    'counter',
    function* ({ classes }, labels) {
      for (const [pair, value] of classes) yield { labels: { ...labels, ...classesOf(pair) }, value }
    },
  )
  const difference = 'fairlead_mirror_latency_difference_seconds'
  const bounds = differenceBucketsMs.map((ms) => ms / 1_000)
  add(
    difference,
    'How much later the head of the mirrored answer came than that of the answer for the client; below 0: sooner',
    'histogram',
    ({ differenceCounts, differenceSumMs }, labels) =>
      histogram(difference, labels, bounds, differenceCounts, differenceSumMs / 1_000),
  )
  add(
    'fairlead_mirrored_requests_in_flight',
    'Mirrored requests that the version has not ended yet',
    'gauge',
    ({ inFlight }, labels) => [{ labels, value: inFlight }],
  )
}
