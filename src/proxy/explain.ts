/**
 * Why a request goes where it goes: runs what routes a request (the head's parser, the matcher, the steering) and writes down
 * each decision. It sends nothing and changes nothing. Where chance decides, it says among what.
 */
import { partShares } from '../balance/part-shares.ts'
import { canServe } from '../balance/pick-part.ts'
import { isUsable } from '../balance/usable.ts'
import type { Random } from '../core/random.ts'
import {
  admission,
  type BoundEndpoint,
  type BoundGroup,
  type BoundPart,
  type BoundRoute,
  type BoundTable,
} from '../live/runtime.ts'
import type { MirrorPolicy } from '../policy/traffic.ts'
import { allHold, compileConditions } from '../table/condition.ts'
import { sharesOf } from '../table/shares.ts'
import { leadsTo as whereTo } from '../table/leads-to.ts'
import { actionText, conditionText, stickyText } from '../table/show-rule.ts'
import type { Shape } from '../table/plan.ts'
import { type Route, routeText } from '../table/table.ts'
import type { WireLimits } from '../wire/limits.ts'
import { parseRequestHead, type RequestHead } from '../wire/request-head.ts'
import { Refusal } from '../wire/syntax.ts'
import type { Aim } from './next-endpoint.ts'
import { type ConsideredInstance, considerInstance } from './consider-instance.ts'
import { type Drawn, resultText } from './explain-result.ts'
import { whyNotMirrored } from './mirror.ts'
import { routingPath } from './path.ts'
import { routeAnswer } from './redirect.ts'
import { shapeTarget } from './shape.ts'
import { SteeredRequest, steer, type SteerTrace } from './steer.ts'

export interface Question {
  readonly method: string
  /** As in a request line. */
  readonly target: string
  /** Host as a client sends it; '' for none. */
  readonly host: string
  /** `Name: value`, checked as a client's would be. */
  readonly headers: readonly string[]
  readonly clientAddress: string
}

export interface ConsideredRoute {
  /** As a person writes it: `shop.example.com/cart`, `/` for any host. */
  readonly route: string
  readonly origin: string
  readonly leadsTo: string
  readonly taken: boolean
  readonly why: string
}

export interface ConsideredRule {
  readonly leadsTo: string
  /** Null: one before it had matched, so it was not asked. */
  readonly matches: boolean | null
  readonly conditions: readonly { readonly text: string; readonly holds: boolean }[]
}

export interface ConsideredVersion {
  /** Of which service; several where they share the route. */
  readonly service: string
  readonly version: string
  readonly weight: number
  /** Of the requests that no rule decides, 0 to 1, as things stand. */
  readonly share: number
  readonly chosen: boolean
  /** Which one a request like this gets, should it go to this version. */
  readonly instance: ConsideredInstance
  readonly endpoints: readonly ConsideredEndpoint[]
}

export interface ConsideredEndpoint {
  readonly handle: string
  readonly address: string
  readonly usable: boolean
  readonly why: string
  readonly weight: number
  readonly inFlight: number
}

export interface ConsideredMirror {
  readonly version: string
  /** Of those that may be mirrored, 0 to 1. */
  readonly share: number
  /** Whether this one may be. */
  readonly applies: boolean
  readonly why: string
}

export interface Explanation {
  readonly request: { readonly method: string; readonly host: string; readonly path: string; readonly client: string }
  /** Those that match or nearly do, in order of precedence. */
  readonly routes: readonly ConsideredRoute[]
  /** How many more there are, that have neither its host nor its path. */
  readonly otherRoutes: number
  readonly rules: readonly ConsideredRule[]
  readonly service: string | null
  /**
   * What the version is tied to, such as `cookie fairlead`; null: nothing. `isNew`: the request has none, and `key` is but an
   * example of one that would be set.
   */
  readonly sticky: { readonly by: string; readonly key: string; readonly isNew: boolean } | null
  /** Where such requests go as well; null: nowhere. */
  readonly mirror: ConsideredMirror | null
  /**
   * What an instance sees where that is not what the client sent, and it is certain: the target, and `instance` (its own address) or a
   * name as Host, null: the client's.
   */
  readonly onward: { readonly target: string; readonly host: string | null } | null
  readonly fallback: 'others' | 'none'
  readonly balance: string | null
  /** What ties it to an instance of its version, such as `header x-user`, and to which; null: nothing. */
  readonly instance: { readonly by: string; readonly key: string; readonly handle: string } | null
  readonly versions: readonly ConsideredVersion[]
  /** A sentence: where it goes, or what it is answered. */
  readonly result: string
}

const routesShownMax = 20

export function explain(
  bound: BoundTable,
  random: Random,
  limits: WireLimits,
  { method, target, host, headers, clientAddress }: Question,
): Explanation {
  const lines = host === '' ? [`${method} ${target} HTTP/1.0`] : [`${method} ${target} HTTP/1.1`, `Host: ${host}`]
  const text = `${[...lines, ...headers].join('\r\n')}\r\n\r\n`
  const head = parseRequestHead(text, 0, text.indexOf('\r\n\r\n'), limits, false)
  if (head instanceof Refusal) return refused({ method, host, path: target, client: clientAddress }, head)
  const path = routingPath(head.target)
  const request = { method, host: head.routingHost, path: path ?? target, client: clientAddress }
  if (path === undefined) return refused(request, new Refusal(400, 'path'))
  const route = bound.match(head.routingHost, path)
  const considered = considerRoutes(bound.table.routes, head.routingHost, path, route?.route)
  if (!route) return { ...nothing(request), ...considered, result: 'No route matches: 404.' }
  return {
    ...explainRoute(bound, random, route, head, new SteeredRequest(head, path, clientAddress)),
    request,
    ...considered,
  }
}

function nothing(request: Explanation['request']): Explanation {
  return {
    request,
    routes: [],
    otherRoutes: 0,
    rules: [],
    service: null,
    sticky: null,
    mirror: null,
    onward: null,
    fallback: 'others',
    balance: null,
    instance: null,
    versions: [],
    result: '',
  }
}

function refused(request: Explanation['request'], { status, rule }: Refusal): Explanation {
  return { ...nothing(request), result: `It is refused before it is routed: ${String(status)} (${rule}).` }
}

// === Routes ===

function considerRoutes(
  routes: readonly Route[],
  host: string,
  path: string,
  taken: Route | undefined,
): Pick<Explanation, 'routes' | 'otherRoutes'> {
  const shown: ConsideredRoute[] = []
  let others = 0
  for (const route of routes) {
    const hostFits = fitsHost(route.host, host)
    const pathFits = fitsPath(route.path, path)
    // The taken one is always shown; of the rest, those that somebody could have meant.
    if (route !== taken && ((!hostFits && !pathFits) || shown.length >= routesShownMax)) {
      others++
      continue
    }
    const why =
      route === taken
        ? 'it matches, and none before it does'
        : !hostFits
          ? `its host is not ${host === '' ? 'that of a request without one' : host}`
          : !pathFits
            ? `${path} is not below ${route.path}`
            : `it matches, but ${taken ? routeText(taken) : 'another'} is more exact`
    shown.push({ route: routeText(route), origin: route.origin, leadsTo: whereTo(route), taken: route === taken, why })
  }
  return { routes: shown, otherRoutes: others }
}

function fitsHost(pattern: string, host: string): boolean {
  if (pattern === '') return true
  return pattern.startsWith('*.') ? host.endsWith(pattern.slice(1)) : host === pattern
}

function fitsPath(prefix: string, path: string): boolean {
  return prefix === '/' || path === prefix || path.startsWith(`${prefix}/`)
}

// === The route's own way ===

function explainRoute(
  bound: BoundTable,
  random: Random,
  route: BoundRoute,
  head: RequestHead,
  request: SteeredRequest,
): Explanation {
  const { plan } = route
  const base = { ...nothing({ method: '', host: '', path: '', client: '' }), service: route.service.table.name || null }
  if (plan === undefined) return explainAim(base, route, undefined, 'by weight', random, request)
  const trace: SteerTrace = { rules: [], key: undefined }
  const steered = steer(bound, random, route, plan, request, trace)
  const rules = plan.rules.map(({ rule, action }, index): ConsideredRule => ({
    leadsTo: actionText(action),
    matches: trace.rules[index] ?? null,
    conditions: rule.when.map((condition) => ({
      text: conditionText(condition),
      holds: allHold(compileConditions([condition]), request),
    })),
  }))
  const said = { ...base, rules }
  if (steered.kind === 'denied')
    return { ...said, result: `Clients at ${request.clientAddress} may not: 403 (allow, deny).` }
  if (steered.kind !== 'forward') {
    const answer = routeAnswer(steered, head, route.route.path)
    const where = steered.kind === 'redirect' ? (answer?.lines.trim() ?? '') : ''
    return {
      ...said,
      result: `It is answered ${String(answer?.answer.status ?? 400)}${where === '' ? '' : `, ${where}`}.`,
    }
  }
  const { sticky = plan.sticky, newKey } = steered
  // What ties it in one of several services that chance picks says nothing of where it goes.
  const byChance = trace.parts !== undefined && plan.sticky === undefined
  const stuck =
    sticky && trace.key !== undefined && !byChance
      ? { by: stickyText(sticky), key: trace.key, isNew: newKey !== undefined }
      : null
  const hit = trace.rules.at(-1) === true ? plan.rules[trace.rules.length - 1]?.action : undefined
  const wanted = hit?.kind === 'version' || hit?.kind === 'service' ? hit.version : undefined
  const fellBack = wanted !== undefined && steered.group?.version !== wanted && !steered.aim.strict
  const byRule = hit !== undefined && !fellBack && stuck === null && !trace.parts
  const how = byRule ? `by rule ${String(trace.rules.length)}` : stuck ? `by ${stuck.by}` : 'by weight'
  const service = steered.aim.service.table.name
  // A key that was drawn here is nobody's: another request would have another.
  const chosen = (byRule && wanted !== undefined) || (stuck && !stuck.isNew) ? steered.group : undefined
  const drawn = stuck?.isNew ? { by: stuck.by, key: stuck.key, service, version: steered.group?.version } : undefined
  const mirror = plan.mirror ? considerMirror(plan.mirror, route, steered.aim, chosen, head) : null
  const of = { ...said, service: trace.parts && !chosen ? route.service.table.name : service, sticky: stuck, mirror }
  const onward = trace.parts && !chosen ? null : onwardOf(steered.shape, request.target)
  const told = explainAim({ ...of, onward }, steered.aim, chosen, how, random, request, drawn, trace.parts)
  if (!fellBack) return told
  const rule = `Rule ${String(trace.rules.length)} leads to version ${wanted}, of which no instance can answer`
  return { ...told, result: `${told.result} ${rule}: fallback: others decided.` }
}

function onwardOf(shape: Shape | undefined, target: string): Explanation['onward'] {
  if (!shape) return null
  const { strip, prepend, host, hostIsInstance } = shape
  const then = shapeTarget(target, strip, prepend)
  const upstreamHost = hostIsInstance ? 'instance' : (host ?? null)
  return then === target && upstreamHost === null ? null : { target: then, host: upstreamHost }
}

function considerMirror(
  { version, share }: MirrorPolicy,
  route: BoundRoute,
  aim: Aim,
  chosen: BoundGroup | undefined,
  head: RequestHead,
): ConsideredMirror {
  const group = route.service.groups.find((one) => one.version === version)
  const said = (applies: boolean, why: string): ConsideredMirror => ({ version, share, applies, why })
  const never = whyNotMirrored(head)
  if (never !== '') return said(false, never)
  if (aim.service !== route.service)
    return said(false, `${aim.parts ? 'it goes' : 'a rule sends it'} to another service`)
  if (chosen?.version === version) return said(false, 'it goes to this version already')
  if (!group) return said(false, 'no instance of it is registered')
  if (!group.endpoints.some((one) => isUsable(one, []))) return said(false, 'no instance of it is available')
  return said(true, 'by chance, unless it goes to this version already')
}

/** A smaller share is a rest of rounding. */
const least = 1e-9

/** `chosen`: the version, where it is certain; `drawn`: where it hangs on the cookie that would be set. */
function explainAim(
  base: Explanation,
  aim: Aim,
  chosen: BoundGroup | undefined,
  how: string,
  random: Random,
  request: SteeredRequest,
  drawn?: Drawn,
  parts?: readonly BoundPart[],
): Explanation {
  const shares = parts ? partShares(parts, parts.map(canServe)) : []
  const versions = parts
    ? parts.flatMap((part, at) => considerVersions(part, shares[at] ?? 0, chosen, random, request))
    : considerVersions(aim, 1, chosen, random, request)
  const open = versions.filter(({ share }) => share > least)
  const certain = versions.find((one) => one.chosen) ?? (!chosen && open.length === 1 ? open[0] : undefined)
  const { balance } = aim.service.table.policy
  const names = [...new Set((open.length > 0 ? open : versions).map(({ service }) => service))]
  const { handle = null, tie = null } = certain?.instance ?? {}
  const instance = tie && handle !== null ? { ...tie, handle } : null
  const standing = parts?.filter((_, at) => (shares[at] ?? 0) > least)
  const failedOver = (standing ?? []).length > 0 && standing?.every(({ standby }) => standby) === true
  const result = resultText({
    open,
    certain,
    names,
    how: failedOver && !chosen ? 'by failover' : how,
    // With chance alone there is nothing to say of how.
    isTold: failedOver || how.startsWith('by rule'),
    instance,
    balance,
    drawn,
  })
  return { ...base, fallback: aim.strict ? 'none' : 'others', balance, instance, versions, result }
}

function considerVersions(
  aim: Aim,
  all: number,
  chosen: BoundGroup | undefined,
  random: Random,
  request: SteeredRequest,
): readonly ConsideredVersion[] {
  const counts = (group: BoundGroup): boolean =>
    group.weight > 0 && (aim.strict || group.endpoints.some((one) => isUsable(one, [])))
  const shares = sharesOf(aim.groups.map((group) => ({ weight: group.weight, counts: counts(group) })))
  return aim.groups.map((group, at) => ({
    service: aim.service.table.name,
    version: group.version,
    weight: group.weight,
    share: all * (shares[at] ?? 0),
    chosen: group === chosen,
    instance: considerInstance(aim, group, random, request),
    endpoints: considerEndpoints(aim, group),
  }))
}

function considerEndpoints(aim: Aim, group: BoundGroup): readonly ConsideredEndpoint[] {
  const bound = new Map(group.endpoints.map((one) => [one.endpoint.key, one]))
  const all = aim.service.table.groups.find(({ version }) => version === group.version)?.endpoints ?? []
  return all.map((endpoint) => {
    const one = bound.get(endpoint.key)
    const { handle, address, port, status, weight } = endpoint
    return {
      handle,
      address: `${address}:${String(port)}`,
      usable: one !== undefined && isUsable(one, []),
      why: one === undefined ? `the catalog says ${status}` : whyOf(one),
      weight: one === undefined ? 0 : weight * one.state.ramp,
      inFlight: one?.state.inFlight ?? 0,
    }
  })
}

function whyOf({ endpoint, state }: BoundEndpoint): string {
  if (state.order) return `${state.order.kind === 'drain' ? 'drained' : 'ejected'} by ${state.order.by}`
  if (state.leaving) return 'it has left the catalog'
  if (state.admission === admission.dead) return 'it is dead'
  const panic = state.open ? ', but too few are left to keep it out' : ''
  if (state.admission === admission.ejected) return `ejected${panic}`
  if (state.admission === admission.joining) return `new and not yet proven${panic}`
  if (!state.open) return 'not available'
  if (state.ramp < 1) return `ramping up, at ${String(Math.round(state.ramp * 100))} % of its weight`
  return endpoint.status === 'passing' ? 'available' : `available (the catalog says ${endpoint.status})`
}
