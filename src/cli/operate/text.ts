/** An order for a person: what it will do, and what it has done. Pure; nothing from elsewhere reaches the terminal unescaped. */
import { counted } from '../../core/counted.ts'
import { showHostPort } from '../../core/host.ts'
import { safeLong as safe } from '../table-text.ts'
import type { Endpoint } from './answer.ts'

type Verb = 'drain' | 'eject' | 'restore'

interface Intent {
  readonly forTime: string | undefined
  readonly reason: string | undefined
  /** For this proxy alone. */
  readonly local?: boolean
  /** The proxy's admin address. */
  readonly admin: string
}

const intents: Readonly<Record<Verb, string>> = {
  drain: 'Nothing new goes there; what it has may finish.',
  eject: 'Nothing new goes there; what waits there and is safe to repeat is taken elsewhere.',
  restore: 'It gets requests again.',
}
const done: Readonly<Record<Verb, string>> = { drain: 'Drained', eject: 'Ejected', restore: 'Restored' }

/** What will be done, newline included. */
export function planText(verb: Verb, before: Endpoint, { forTime, reason, admin, local = false }: Intent): string {
  const { service, version, endpoint, others } = before
  const { status, inFlight, health, order } = endpoint
  const name = safe(service)
  const state = health
    ? `${safe(health.state)}${health.cause === null ? '' : ` (${safe(health.cause)})`}`
    : 'not judged'
  const { everywhere } = before
  const isOwn = verb === 'eject' || local || everywhere === null
  const where = isOwn ? `${safe(admin)} and no other` : `every one that reads ${safe(everywhere)}`
  const lines = [
    `${verb} ${nameOf(before)}`,
    `  proxy      ${where}`,
    `  service    ${name}${version === '' ? '' : `, version ${safe(version)}`}`,
    `  now        catalog ${safe(status)}, health ${state}, ${inFlight} in flight`,
  ]
  if (order) lines.push(`  order      ${orderText(order)}`)
  if (verb !== 'restore') lines.push(`  how long   ${forTime === undefined ? 'until it is restored' : safe(forTime)}`)
  if (reason !== undefined) lines.push(`  reason     ${safe(reason)}`)
  const rest = version === '' ? '' : `, ${others.version} of version ${safe(version)}`
  lines.push(
    `  ${verb === 'restore' ? 'besides it ' : 'left       '}${counted(others.service, 'endpoint')} of ${name}${rest}`,
  )
  if (verb !== 'restore' && others.service === 0) lines.push(`  warning    nothing of ${name} is left`)
  lines.push(intents[verb], '')
  return lines.join('\n')
}

/** What was done, newline included. */
export function outcomeText(verb: Verb, after: Endpoint): string {
  const lines = [`${done[verb]} ${nameOf(after)}.${after.means === undefined ? '' : ` ${safe(after.means)}`}`]
  for (const warning of after.warnings) lines.push(`Warning: ${safe(warning)}`)
  return `${lines.join('\n')}\n`
}

const nameOf = ({ endpoint: { handle, address, port } }: Endpoint): string =>
  `${safe(handle)} ${safe(showHostPort(address, port))}`

function orderText({ kind, since, until, reason, by }: NonNullable<Endpoint['endpoint']['order']>): string {
  const why = reason === '' ? '' : `: ${safe(reason)}`
  return `${safe(kind)} by ${safe(by)} since ${safe(since)}${until === null ? '' : ` until ${safe(until)}`}${why}`
}
