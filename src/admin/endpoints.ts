/**
 * One endpoint over the API: what it is, and the operator's drain, eject and restore. It reads what is asked for strictly, has
 * the data plane carry it out, and says what that means. Who may ask is settled before.
 */
import { nearest } from '../config/nearest.ts'
import { showHostPort } from '../core/host.ts'
import { counted } from '../core/counted.ts'
import { formatDuration, parseDuration } from '../core/units.ts'
import { admission, type BoundService, type BoundTable } from '../live/runtime.ts'
import type { DataPlane, OperatorCommand } from '../proxy/options.ts'
import type { Endpoint } from '../table/table.ts'
import { decodedPart, isReason } from './asked.ts'
import { json, type Action, type ActionRouter, type Answer } from './door.ts'
import { drainEverywhere, restoreEverywhere, type Sharing } from './shared-drains.ts'
import { endpointView, type EndpointView, type HealthSource } from './views.ts'

/** What of the data plane is asked here. */
export type OperatorPlane = Pick<DataPlane, 'current' | 'operate' | 'stateOf'>

/** The answer of `/v1/endpoints/HANDLE`. */
export interface EndpointAnswer {
  readonly service: string
  readonly version: string
  readonly endpoint: EndpointView
  /** Other endpoints that get traffic now, of its service and of its version. */
  readonly others: { readonly service: number; readonly version: number }
  /** Where drains that reach every proxy are kept, such as `kv:fairlead`; null: nowhere, and a drain is this proxy's own. */
  readonly everywhere: string | null
  /** After a command: what it means, a sentence. */
  readonly means?: string
  /** What whoever asked should know, a sentence each. */
  readonly warnings: readonly string[]
}

const prefix = '/v1/endpoints/'
const verbs = ['drain', 'eject', 'restore'] as const
type Verb = (typeof verbs)[number]

/** What a body may hold. Ejections are one proxy's own anyway. */
const keysOf: Readonly<Record<Verb, readonly string[]>> = {
  drain: ['for', 'reason', 'local'],
  eject: ['for', 'reason'],
  restore: ['reason', 'local'],
}

const reasonCharsMax = 256
const forBounds = { minMs: 1_000, maxMs: 30 * 86_400_000 }
/** A misspelt handle is compared with so many at most: it must not hold up requests. */
const comparedMax = 1_000

/** The handle in `/v1/endpoints/HANDLE`; undefined: it is another path. */
export function handleIn(path: string): string | undefined {
  if (!path.startsWith(prefix)) return undefined
  const handle = decodedPart(path.slice(prefix.length))
  return handle === '' || handle?.includes('/') ? undefined : handle
}

/** What a POST to `/v1/endpoints/HANDLE/drain|eject|restore` does. */
export function endpointActions(
  plane: OperatorPlane,
  health: HealthSource | undefined,
  sharing: Sharing | undefined,
): ActionRouter {
  return (path) => {
    const slash = path.lastIndexOf('/')
    const verb = verbs.find((each) => each === path.slice(slash + 1))
    const handle = handleIn(path.slice(0, slash))
    return verb && handle !== undefined ? actionOf(verb, handle, { plane, health, sharing }) : undefined
  }
}

/** What is known of an endpoint. */
export function endpointAnswer(
  handle: string,
  plane: Pick<DataPlane, 'current'> & Partial<OperatorPlane>,
  health: HealthSource | undefined,
  sharing: Sharing | undefined,
): Answer {
  const found = find(plane.current(), handle)
  return found ? json(200, answerOf(found, { plane, health, sharing })) : unknown(plane.current(), handle)
}

interface Parts {
  readonly plane: Partial<OperatorPlane>
  readonly health: HealthSource | undefined
  readonly sharing: Sharing | undefined
}

function actionOf(verb: Verb, handle: string, parts: Acting): Action {
  const { plane, sharing } = parts
  return async (body, by) => {
    const { local = false } = body
    if (typeof local !== 'boolean') return json(400, { error: 'local is true or false.' })
    const command = readCommand(verb, body, by)
    if (typeof command === 'string') return json(400, { error: command })
    const found = find(plane.current(), handle)
    if (!found) return unknown(plane.current(), handle)
    const shared = sharing && !local ? await doneEverywhere(sharing, found, command, parts) : undefined
    return shared ?? doneHere(found, command, parts)
  }
}

interface Acting extends Parts {
  readonly plane: OperatorPlane
}

/** Undefined: it is this proxy's own affair. */
async function doneEverywhere(
  sharing: Sharing,
  found: Found,
  command: OperatorCommand,
  parts: Acting,
): Promise<Answer | undefined> {
  if (command.kind === 'eject') return undefined
  const { endpoint } = found
  const { by, reason } = command
  const written =
    command.kind === 'drain'
      ? await drainEverywhere(sharing, { endpoint, by, reason, forMs: command.forMs })
      : await restoreEverywhere(sharing, { endpoint, by, reason })
  if (!written) return undefined
  if (written.kind === 'failed') return written.answer
  // An order of this proxy's own must not outlast the word that was meant for all.
  const { plane } = parts
  if (command.kind === 'restore' && plane.stateOf(endpoint.key, endpoint.life)?.order)
    plane.operate(endpoint.key, endpoint.life, command)
  const answer = answerOf(found, parts)
  const means = `At every proxy that reads ${sharing.drains.source()}: ${meaningOf(command, answer)}`
  const warnings = command.kind === 'restore' ? [] : warningsOf(found)
  return json(200, { ...answer, means, warnings: [...written.warnings, ...warnings] })
}

function doneHere(found: Found, command: OperatorCommand, parts: Acting): Answer {
  const { plane } = parts
  const { key, life, handle } = found.endpoint
  const document = plane.stateOf(key, life)?.order?.document
  if (command.kind === 'restore' && document !== undefined)
    return json(409, {
      error: `${document} drains it at every proxy; restore it without --local ("local": true over HTTP).`,
    })
  const outcome = plane.operate(key, life, command)
  if (outcome === 'unknown') return unknown(plane.current(), handle)
  const answer = answerOf(found, parts)
  if (outcome === 'no-order') {
    const { state, cause } = answer.endpoint.health ?? {}
    const why = state === 'ejected' ? ` Its own health keeps it out (${cause ?? 'ejected'}).` : ''
    return json(409, { error: `Nobody has drained or ejected this endpoint, so there is nothing to restore.${why}` })
  }
  const means = `At this proxy alone: ${meaningOf(command, answer)}`
  return json(200, { ...answer, means, warnings: command.kind === 'restore' ? [] : warningsOf(found) })
}

/** The command, or a sentence that says what is wrong with the body. */
function readCommand(verb: Verb, body: Readonly<Record<string, unknown>>, by: string): OperatorCommand | string {
  const keys = keysOf[verb]
  for (const key of Object.keys(body)) {
    if (keys.includes(key)) continue
    return `There is no such key here; there are ${keys.join(', ')}.`
  }
  const { for: time, reason = '' } = body
  if (!isReason(reason, reasonCharsMax)) {
    return `The reason is text of at most ${reasonCharsMax} characters, on one line.`
  }
  if (verb === 'restore') return { kind: 'restore', reason, by }
  if (time === undefined) return { kind: verb, forMs: undefined, reason, by }
  const forMs = typeof time === 'string' ? parseDuration(time) : undefined
  if (forMs === undefined || forMs < forBounds.minMs || forMs > forBounds.maxMs) {
    const { minMs, maxMs } = forBounds
    return `How long (--for; "for" over HTTP) is a time such as 30m, from ${formatDuration(minMs)} to ${formatDuration(maxMs)}.`
  }
  return { kind: verb, forMs, reason, by }
}

interface Found {
  readonly service: BoundService
  readonly endpoint: Endpoint
}

/** By its handle, else by its address and port or its id where those are of one alone. */
function find({ services }: BoundTable, handle: string): Found | undefined {
  const named: Found[] = []
  for (const service of services.values())
    for (const { endpoints } of service.table.groups)
      for (const endpoint of endpoints) {
        if (endpoint.handle === handle) return { service, endpoint }
        if (named.length < 2 && isNamed(endpoint, handle)) named.push({ service, endpoint })
      }
  return named.length === 1 ? named[0] : undefined
}

/** Whether it is what `name` says beside its handle. */
export const isNamed = ({ id, address, port }: Endpoint, name: string): boolean =>
  name === id || name === showHostPort(address, port)

function unknown({ services }: BoundTable, handle: string): Answer {
  const meant: string[] = []
  const begun: string[] = []
  const compared: string[] = []
  for (const service of services.values())
    for (const { endpoints } of service.table.groups)
      for (const endpoint of endpoints) {
        const { handle: known } = endpoint
        if (meant.length < 3 && (isNamed(endpoint, handle) || handle === endpoint.address))
          meant.push(`${known} (service ${service.table.name})`)
        if (begun.length < 3 && handle.length >= 3 && known.startsWith(handle)) begun.push(known)
        if (compared.length < comparedMax && known[0] === handle[0]) compared.push(known)
      }
  if (meant.length > 0)
    return json(404, {
      error: `No endpoint has this handle, but it is the address or id of ${meant.join(', ')}. Use the handle.`,
    })
  const near = begun.length > 0 ? begun : nearestFew(handle, compared)
  const help =
    near.length === 0
      ? 'Nor is it the address or the Consul id of one. `fairlead status SERVICE` (/v1/services/NAME) lists the handles of a service.'
      : `Near it: ${near.join(', ')}.`
  return json(404, { error: `No endpoint has this handle. ${help}`, nearest: near })
}

function nearestFew(word: string, names: readonly string[]): readonly string[] {
  const found: string[] = []
  let left = names
  while (found.length < 3) {
    const next = nearest(word, left)
    if (next === undefined) break
    found.push(next)
    left = left.filter((name) => name !== next)
  }
  return found
}

function answerOf({ service, endpoint }: Found, { plane, health, sharing }: Parts): EndpointAnswer {
  let ofService = 0
  let ofVersion = 0
  for (const { endpoints, weight, version } of service.groups) {
    if (weight <= 0) continue
    for (const { state } of endpoints) {
      if (!state.open || state.key === endpoint.key) continue
      ofService++
      if (version === endpoint.version) ofVersion++
    }
  }
  return {
    service: endpoint.service,
    version: endpoint.version,
    endpoint: endpointView(endpoint, plane.stateOf?.(endpoint.key, endpoint.life), health),
    others: { service: ofService, version: ofVersion },
    everywhere: sharing?.drains.source() || null,
    warnings: [],
  }
}

function meaningOf(command: OperatorCommand, { endpoint, service, others }: EndpointAnswer): string {
  const left = `${counted(others.service, 'endpoint')} of ${service} left`
  if (command.kind === 'restore') {
    if (endpoint.weight === 0) return `The order is gone; the catalog keeps it from traffic (${endpoint.status}).`
    const { state, cause } = endpoint.health ?? {}
    if (state === 'ejected') return `The order is gone; its own health keeps it out until it is well (${cause ?? ''}).`
    return 'It gets requests again, few at first where slowStart says so.'
  }
  const until = command.forMs === undefined ? 'until it is restored' : `for ${formatDuration(command.forMs)}`
  const rest =
    command.kind === 'drain'
      ? 'what it has may finish within drain.deadline'
      : 'safe requests that waited there go elsewhere, the rest may finish within drain.deadline'
  return `It gets nothing new ${until}; ${rest}. ${left}.`
}

function warningsOf({ service }: Found): readonly string[] {
  const name = service.table.name
  let open = 0
  let well = 0
  for (const { endpoints, weight } of service.groups) {
    if (weight <= 0) continue
    for (const { state } of endpoints) {
      if (!state.open) continue
      open++
      if (state.admission === admission.open) well++
    }
  }
  if (open === 0) return [`Nothing is left: requests to ${name} are answered 503.`]
  if (well > 0) return []
  return [`Only endpoints of ${name} are left that their health keeps out or that are not proven yet.`]
}
