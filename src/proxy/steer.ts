/**
 * Where a request of a route with a plan goes: its rules in order, then its stickiness, then chance. It picks a version, never
 * an instance, and answers nothing itself. Routes without a plan never come here.
 */
import { pickGroup, pickNamedGroup, pickStickyGroup } from '../balance/pick-group.ts'
import { pickPart, pickStickyPart } from '../balance/pick-part.ts'
import type { Random } from '../core/random.ts'
import type { BoundGroup, BoundPart, BoundRoute, BoundTable } from '../live/runtime.ts'
import { type Ip, parseIp } from '../policy/ip.ts'
import type { MirrorPolicy, RuleAction, StickyPolicy } from '../policy/traffic.ts'
import { firstMatch, type RequestView } from '../table/condition.ts'
import type { Plan, PlannedRule, Shape } from '../table/plan.ts'
import type { RequestHead } from '../wire/request-head.ts'
import type { Aim } from './next-endpoint.ts'
import { cookieLine, requestKey } from './request-key.ts'

/** What decides: read from the request once, the address only where something asks for it. */
export class SteeredRequest implements RequestView {
  readonly method: string
  readonly target: string
  readonly path: string
  readonly lines: string
  readonly clientAddress: string
  #ip: Ip | undefined

  /** `path`: as {@link routingPath} has it. */
  constructor(head: RequestHead, path: string, clientAddress: string) {
    this.method = head.method
    this.target = head.target
    this.path = path
    this.lines = head.lines
    this.clientAddress = clientAddress
  }

  get clientIp(): Ip | undefined {
    return (this.#ip ??= parseIp(this.clientAddress))
  }
}

export type Steered =
  | {
      readonly kind: 'forward'
      readonly aim: Aim
      /** Undefined: no version that it may have can answer. */
      readonly group: BoundGroup | undefined
      /** What changes on the way; undefined: nothing. */
      readonly shape: Shape | undefined
      /** The sticky cookie's new value; undefined: there is none to set. */
      readonly newKey: string | undefined
      /** Where a share of such requests goes as well; undefined: nowhere. */
      readonly mirror: MirrorPolicy | undefined
      /** The sticky policy that `newKey` is of. */
      readonly sticky: StickyPolicy | undefined
    }
  | Extract<RuleAction, { readonly kind: 'redirect' | 'answer' }>
  /** The route is not for this client. */
  | { readonly kind: 'denied' }

/** What `explain` wants to know of a decision, written down on the way. */
export interface SteerTrace {
  /** Whether each rule that was asked matched, in order. */
  readonly rules: boolean[]
  /** What the split was tied to; undefined: nothing, or it was not asked. */
  key: string | undefined
  /** The services that it was shared among; undefined: it was not. */
  parts?: readonly BoundPart[]
}

export function steer(
  bound: BoundTable,
  random: Random,
  route: BoundRoute,
  plan: Plan,
  request: SteeredRequest,
  trace?: SteerTrace,
): Steered {
  if (plan.admits && !plan.admits(request.clientIp)) return { kind: 'denied' }
  if (plan.redirect) return { kind: 'redirect', redirect: plan.redirect }
  const rule = plan.rules[firstMatch(plan.conditions, request, trace?.rules)]
  if (rule) return byRule(bound, random, route, plan, rule, request, trace)
  if (route.parts) return byParts(route.parts, plan, plan.shape, random, request, trace)
  return bySplit(route, plan.sticky, { shape: plan.shape, mirror: plan.mirror }, random, request, trace)
}

function byRule(
  bound: BoundTable,
  random: Random,
  route: BoundRoute,
  plan: Plan,
  { action, shape }: PlannedRule,
  request: SteeredRequest,
  trace: SteerTrace | undefined,
): Steered {
  if (action.kind !== 'version' && action.kind !== 'service') return action
  let aim: Aim = route
  const isOwn = action.kind === 'version' || action.service === route.service.table.name
  let { sticky } = plan
  // A rule that leads to the route's own service keeps what the route says of it.
  if (!isOwn) {
    const service = bound.services.get(action.service)
    if (service === undefined) return forward(route, undefined, { shape })
    const { policy } = service.table
    aim = { service, groups: service.groups, strict: policy.fallback === 'none' }
    ;({ sticky } = policy)
  }
  // A version of another service is no match for what this one mirrors.
  const way: Way = { shape, mirror: isOwn ? plan.mirror : undefined }
  const group = action.version === undefined ? undefined : pickNamedGroup(aim.groups, action.version)
  if (group || (aim.strict && action.version !== undefined)) return forward(aim, group, way)
  if (isOwn && route.parts) return byParts(route.parts, plan, shape, random, request, trace)
  return bySplit(aim, sticky, way, random, request, trace)
}

/** What a request meets on its way, wherever it goes. */
type Way = Partial<Pick<Extract<Steered, { readonly kind: 'forward' }>, 'shape' | 'mirror' | 'newKey' | 'sticky'>>

function forward(aim: Aim, group: BoundGroup | undefined, way: Way): Steered {
  const { shape, mirror, newKey, sticky } = way
  return { kind: 'forward', aim, group, shape, mirror, newKey, sticky }
}

/** First the service, then its version: by one key where the route has one. A service that is not for this client is none of them. */
function byParts(
  all: readonly BoundPart[],
  plan: Plan,
  shape: Shape | undefined,
  random: Random,
  request: SteeredRequest,
  trace: SteerTrace | undefined,
): Steered {
  const parts = all.some(({ admits }) => admits) ? admitted(all, request.clientIp) : all
  const [first] = parts
  if (first === undefined) return { kind: 'denied' }
  const { sticky } = plan
  const tied = sticky && tieOf(sticky, random, request)
  if (trace) trace.parts = parts
  if (trace && tied) trace.key = tied.key
  const part = tied ? pickStickyPart(parts, tied.key) : pickPart(parts, random())
  if (part === undefined) return forward(first, undefined, tied ? { newKey: tied.newKey, sticky } : {})
  // What a part says of its way goes before what the rule or the route does.
  const way: Way = { shape: part.shape === plan.shape ? shape : part.shape, mirror: part.mirror }
  if (!tied) return bySplit(part, sticky ?? part.sticky, way, random, request, trace)
  return forward(part, pickStickyGroup(part.groups, tied.key, part.strict), { ...way, newKey: tied.newKey, sticky })
}

function admitted(parts: readonly BoundPart[], client: Ip | undefined): readonly BoundPart[] {
  const left: BoundPart[] = []
  for (const part of parts) if (part.admits?.(client) !== false) left.push({ ...part, parts: left })
  return left
}

function bySplit(
  aim: Aim,
  sticky: StickyPolicy | undefined,
  way: Way,
  random: Random,
  request: SteeredRequest,
  trace: SteerTrace | undefined,
): Steered {
  const tied = sticky && tieOf(sticky, random, request)
  if (!tied) return forward(aim, pickGroup(aim.groups, random(), undefined, aim.strict), way)
  if (trace) trace.key = tied.key
  const group = pickStickyGroup(aim.groups, tied.key, aim.strict)
  return forward(aim, group, { ...way, newKey: tied.newKey, sticky })
}

/** The key that the request has, or that its answer will set. */
function tieOf(
  sticky: StickyPolicy,
  random: Random,
  request: SteeredRequest,
): { readonly key: string; readonly newKey: string | undefined } | undefined {
  const key = stickyKey(sticky, request)
  if (key !== undefined) return { key, newKey: undefined }
  if (sticky.from !== 'cookie') return undefined
  const newKey = randomKey(random)
  return { key: newKey, newKey }
}

/** What ties the request; undefined: nothing does yet. A cookie that we would not set is none of ours. */
function stickyKey(sticky: StickyPolicy, request: SteeredRequest): string | undefined {
  const key = requestKey(sticky, request.lines, request.clientAddress)
  return key !== undefined && sticky.from === 'cookie' && !/^[A-Za-z0-9_-]{1,64}$/.test(key) ? undefined : key
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** 132 bits of chance: no two users get the same, and nobody has to guess one, since it opens nothing. */
function randomKey(random: Random): string {
  let key = ''
  for (let i = 0; i < 22; i++) key += alphabet.charAt(Math.floor(random() * 64))
  return key
}

/** The line that tells a new user's browser its key, `secure` where it came over TLS; '' where there is nothing to tell. */
export function stickyLine(
  { newKey, sticky }: Extract<Steered, { readonly kind: 'forward' }>,
  secure: boolean,
): string {
  if (newKey === undefined || sticky?.from !== 'cookie') return ''
  return cookieLine(sticky.name, newKey, sticky.maxAgeSeconds, secure)
}
