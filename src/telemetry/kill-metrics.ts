/** The metrics of ejections and deaths, read at scrape time from the kill ledger's counts. They steer nothing. */
import type { Registry } from 'prom-client'
import { collect, type Sample } from './collected.ts'
import type { ServiceKillCounts } from './kill-counts.ts'

type Counts = () => Iterable<ServiceKillCounts>

export function addKills(registry: Registry, counts: Counts): void {
  const total = (name: string, help: string, of: (counts: ServiceKillCounts) => number): void =>
    collect(registry, {
      name,
      help,
      type: 'counter',
      *read(): Generator<Sample> {
        for (const each of counts()) yield { labels: { service: each.service }, value: of(each) }
      },
    })
  const byWord = (
    name: string,
    help: string,
    label: 'cause' | 'signal',
    of: (counts: ServiceKillCounts) => ReadonlyMap<string, number>,
  ): void =>
    collect(registry, {
      name,
      help,
      type: 'counter',
      *read(): Generator<Sample> {
        for (const each of counts()) {
          for (const [word, value] of of(each)) yield { labels: { service: each.service, [label]: word }, value }
        }
      },
    })
  total(
    'fairlead_rescued_requests_total',
    'Requests that were taken from an ejected endpoint and made elsewhere',
    (each) => each.rescued,
  )
  total(
    'fairlead_death_lost_requests_total',
    'Requests that were lost with an endpoint that died; the kill ledger names them',
    (each) => each.lost,
  )
  byWord(
    'fairlead_ejections_total',
    'Endpoints taken out of traffic by their health or by an operator, by cause',
    'cause',
    (each) => each.ejections,
  )
  byWord(
    'fairlead_observed_ejections_total',
    'Ejections that were not carried out, since the mode is observe',
    'cause',
    (each) => each.observedEjections,
  )
  byWord(
    'fairlead_endpoint_deaths_total',
    'Endpoints that died or froze, by what first gave them away',
    'signal',
    (each) => each.deaths,
  )
}
