/** What is routed where, for a person: a table for each service where it fits, else short lines. Pure. */
import { counted } from '../../core/counted.ts'
import { showHostPort } from '../../core/host.ts'
import { sharesOf } from '../../table/shares.ts'
import { commandName } from '../command-name.ts'
import {
  gap,
  paintOn,
  percent,
  routesText,
  safe,
  serviceText as nameOfService,
  tableLines,
  timeText,
  type Cell,
  type Color,
  type Column,
  type Paint,
  type Screen,
} from '../table-text.ts'
import type { EndpointStatus, ServiceStatus, TableStatus } from './answer.ts'

const indent = '  '

interface Row {
  /** Only in the first row of a version. */
  readonly version: string
  readonly share: Cell
  /** Undefined: the version has none. */
  readonly endpoint: EndpointStatus | undefined
}

const columns: readonly Column<Row>[] = [
  { title: 'VERSION', cell: ({ version }) => ({ text: version }) },
  { title: 'SHARE', right: true, cell: ({ share }) => share },
  { title: 'ENDPOINT', cell: ({ endpoint }) => ({ text: endpoint ? safe(endpoint.handle) : '(none)' }) },
  { title: 'ADDRESS', cell: ({ endpoint }) => ({ text: endpoint ? address(endpoint) : '' }) },
  { title: 'STATE', cell: ({ endpoint }) => (endpoint ? state(endpoint) : { text: '' }) },
  { title: 'WEIGHT', right: true, cell: ({ endpoint }) => ({ text: endpoint ? String(endpoint.weight) : '' }) },
  { title: 'IN FLIGHT', right: true, cell: ({ endpoint }) => ({ text: endpoint ? String(endpoint.inFlight) : '' }) },
]

/** The whole table. */
export function tableText({ version, problems, routes, services }: TableStatus, screen: Screen): string {
  const parts = [`table ${version}`, counted(routes, 'route'), counted(services.length, 'service')]
  const trouble = problems === 0 ? '' : `, ${counted(problems, 'problem')} (${commandName()} problems tells)`
  const head = `${parts.join(', ')}${paintOn(screen)(trouble, 'yellow')}`
  return [`${head}\n`, ...services.map((service) => serviceText(service, screen))].join('\n')
}

/** One service, newline included. */
export function serviceText(service: ServiceStatus, screen: Screen): string {
  const paint = paintOn(screen)
  const rows = service.versions.flatMap(rowsOf)
  const lines = [
    `${paint(safe(service.name), 'bold')}${gap}${service.inFlight} in flight`,
    routesLine(service),
    ...steeringLines(service),
  ]
  if (rows.length === 0) lines.push(`${indent}${paint(`no instance is registered: ${unservedText(service)}`, 'red')}`)
  else {
    const inner = { ...screen, width: screen.width - indent.length }
    const table = tableLines(rows, columns, inner) ?? rows.flatMap((row) => blockLines(row, paint))
    lines.push(...table.map((line) => `${indent}${line}`))
  }
  lines.push(
    ...[...takenLines(service), ...weighedLines(service), ...sharedLines(service), ...mirrorLines(service)].map(
      (line) => indent + line,
    ),
  )
  return `${lines.join('\n')}\n`
}

function unservedText({ shared, routes }: ServiceStatus): string {
  const alone = new Set(routes)
  for (const { routes: others } of shared) for (const one of others) alone.delete(one)
  const rest = alone.size === 0 ? '' : `; ${routesText([...alone])} answers 503`
  return shared.length === 0 ? 'its routes answer 503' : `others have its requests (see below)${rest}`
}

function routesLine({ routes }: ServiceStatus): string {
  return `${indent}${routes.length === 0 ? 'no route leads here' : routesText(routes)}`
}

const origins: ReadonlyMap<string, string> = new Map([
  ['tags', 'weight= in tags of its instances'],
  ['instances', 'its instances (the default)'],
])

/** Who says how its requests are shared, and what else decides. */
function steeringLines({ steering: { weights, rules, sticky, fallback } }: ServiceStatus): readonly string[] {
  const { origin, by, revision, over } = weights
  const written = by === null ? '' : ` (revision ${String(revision)} by ${safe(by)})`
  const hidden = over.length === 0 ? '' : `, over ${over.map((one) => safe(one, 255)).join(', ')}`
  const rest = [
    counted(rules, 'rule'),
    sticky === null ? 'not sticky' : `sticky by ${safe(sticky)}`,
    `fallback ${fallback}`,
  ]
  return [
    `${indent}weights from ${origins.get(origin) ?? safe(origin, 255)}${written}${hidden}`,
    `${indent}${rest.join(', ')}`,
  ]
}

/** Of versions that would have a share and nobody to answer: who takes it. */
function takenLines({ versions, shared, steering }: ServiceStatus): readonly string[] {
  const wanted = sharesOf(versions)
  const able = versions.filter((one) => one.share > 0 && isServed(one)).map(({ version }) => nameOf(version))
  return versions.flatMap((one, at) => {
    const share = wanted[at] ?? 0
    if (share === 0 || isServed(one)) return []
    const why = one.endpoints.some(({ order }) => order?.kind === 'drain') ? 'drained' : 'not available'
    const nobody = shared.length > 0 ? 'other services, where they share or stand by (see below)' : 'nobody: 503'
    const takers = one.share > 0 || able.length === 0 ? nobody : able.join(' and ')
    const rule = one.share > 0 ? ` (fallback ${steering.fallback})` : ''
    return [`${nameOf(one.version)} is ${why}: its ${percent(share)} go to ${takers}${rule}`]
  })
}

function sharedLines({ shared }: ServiceStatus): readonly string[] {
  return shared.map(({ routes, parts, unanswered }) => {
    const texts = parts.map(
      ({ service, version, standby, share }) =>
        `${standby ? 'else ' : ''}${nameOfService({ service, version: version ?? '' })} ${percent(share)}`,
    )
    if (unanswered > 0) texts.push(`nobody (503) ${percent(unanswered)}`)
    return `shared at ${routesText(routes)}: ${texts.join(', ')}`
  })
}

function weighedLines({ ownWeights }: ServiceStatus): readonly string[] {
  return ownWeights.map(({ routes, versions }) => {
    const texts = versions.map(({ version, share }) => `${nameOf(version)} ${percent(share)}`)
    return `weights of its own at ${routesText(routes)}: ${texts.join(', ')}`
  })
}

function mirrorLines({ mirrorings }: ServiceStatus): readonly string[] {
  return mirrorings.map(
    ({ routes, version, share }) =>
      `mirrored: ${percent(share)} of the safe requests to ${routesText(routes)} also go to ${nameOf(version)}`,
  )
}

const isServed = ({ endpoints }: ServiceStatus['versions'][number]): boolean =>
  endpoints.some((endpoint) => endpoint.weight > 0 && !isOut(endpoint))

const nameOf = (version: string): string => (version === '' ? '(none)' : safe(version))

function rowsOf(group: ServiceStatus['versions'][number]): readonly Row[] {
  const { version, weight, share: part, endpoints } = group
  const served = isServed(group)
  const percent = part * 100
  const text = `${Number(percent.toPrecision(percent < 10 ? 2 : 3))} %`
  const share: Cell = served || weight === 0 ? { text } : { text, color: 'red' }
  const name = nameOf(version)
  const [first, ...others] = endpoints
  return [
    { version: name, share, endpoint: first },
    ...others.map((endpoint) => ({ version: '', share: { text: '' }, endpoint })),
  ]
}

function blockLines({ version, share, endpoint }: Row, paint: Paint): readonly string[] {
  const head = version === '' ? [] : [`${version}${gap}${paint(share.text, share.color)}`]
  if (!endpoint) return [...head, `${indent}(none)`]
  const { text, color } = state(endpoint)
  return [
    ...head,
    `${indent}${safe(endpoint.handle)}${gap}${address(endpoint)}`,
    `${indent}${indent}${paint(text, color)}, weight ${endpoint.weight}, ${endpoint.inFlight} in flight`,
  ]
}

// === Cells ===

const address = (endpoint: EndpointStatus): string => safe(showHostPort(endpoint.address, endpoint.port))

const isOut = ({ order, health }: EndpointStatus): boolean =>
  order !== null || (health !== null && health.applied && health.state === 'ejected')

/** What decides: an order, else the catalog where it keeps it from traffic, else health, else the catalog. */
function state({ status, weight, health, order, pipeliningPause }: EndpointStatus): Cell {
  if (order) {
    const until = order.until === null ? '' : ` until ${timeText(order.until)}`
    return { text: `${order.kind === 'drain' ? 'drained' : 'ejected'} by ${safe(order.by)}${until}`, color: 'yellow' }
  }
  if (weight === 0) return { text: safe(status), color: status === 'critical' ? 'red' : 'yellow' }
  if (!health) return { text: safe(status) }
  const catalog = status === 'passing' ? '' : `, ${safe(status)} in the catalog`
  const cause = health.cause === null || health.state === 'healthy' ? '' : ` (${safe(health.cause)})`
  const pause = pipeliningPause === null ? '' : `, not pipelined for now (${safe(pipeliningPause)})`
  return {
    text: `${safe(health.state)}${cause}${health.applied ? '' : ', only observed'}${catalog}${pause}`,
    color: colorOf(health),
  }
}

function colorOf({ state: name, applied }: NonNullable<EndpointStatus['health']>): Color | undefined {
  if (name === 'healthy') return undefined
  return name === 'ejected' && applied ? 'red' : 'yellow'
}
