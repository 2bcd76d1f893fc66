/**
 * Where a request of a route with a plan goes: its rules in order, then its stickiness, then chance. It picks a version, never
 * an instance, and answers nothing itself. Routes without a plan never come here.
 */
import { pickGroup, pickNamedGroup, pickStickyGroup } from '../balance/pick-group.ts'
import type { Random } from '../core/random.ts'
import type { BoundGroup, BoundRoute, BoundTable } from '../live/runtime.ts'
import { type Ip, parseIp } from '../policy/ip.ts'
import type { RuleAction, StickyPolicy } from '../policy/traffic.ts'
import type { RequestView } from '../table/condition.ts'
import type { Plan, Shape } from '../table/plan.ts'
import type { RequestHead } from '../wire/request-head.ts'
import type { Aim } from './next-endpoint.ts'
import { routingPath } from './path.ts'
import { cookieLine, requestKey } from './request-key.ts'

/** What decides: read from the request once, the address only where something asks for it. */
export class SteeredRequest implements RequestView {
  readonly method: string
  readonly target: string
  readonly lines: string
  readonly clientAddress: string
  #ip: Ip | undefined
  #path: string | undefined

  constructor(head: RequestHead, clientAddress: string) {
    this.method = head.method
    this.target = head.target
    this.lines = head.lines
    this.clientAddress = clientAddress
  }

  get path(): string {
    return (this.#path ??= routingPath(this.target) ?? this.target)
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
  for (const { test, action, shape } of plan.rules) {
    const matches = test(request)
    trace?.rules.push(matches)
    if (!matches) continue
    if (action.kind !== 'version' && action.kind !== 'service') return action
    let aim: Aim = route
    let { sticky } = plan
    // A rule that leads to the route's own service keeps what the route says of it.
    if (action.kind === 'service' && action.service !== route.service.table.name) {
      const service = bound.services.get(action.service)
      if (service === undefined) return forward(route, undefined, shape)
      const { policy } = service.table
      aim = { service, groups: service.groups, strict: policy.fallback === 'none' }
      ;({ sticky } = policy)
    }
    const group = action.version === undefined ? undefined : pickNamedGroup(aim.groups, action.version)
    if (group || (aim.strict && action.version !== undefined)) return forward(aim, group, shape)
    return bySplit(aim, sticky, shape, random, request, trace)
  }
  return bySplit(route, plan.sticky, plan.shape, random, request, trace)
}

function forward(
  aim: Aim,
  group: BoundGroup | undefined,
  shape: Shape | undefined,
  newKey?: string,
  sticky?: StickyPolicy,
): Steered {
  return { kind: 'forward', aim, group, shape, newKey, sticky }
}

function bySplit(
  aim: Aim,
  sticky: StickyPolicy | undefined,
  shape: Shape | undefined,
  random: Random,
  request: SteeredRequest,
  trace: SteerTrace | undefined,
): Steered {
  let key = sticky && stickyKey(sticky, request)
  let newKey: string | undefined
  if (key === undefined && sticky?.from === 'cookie') key = newKey = randomKey(random)
  if (key === undefined) return forward(aim, pickGroup(aim.groups, random(), undefined, aim.strict), shape)
  if (trace) trace.key = key
  return forward(aim, pickStickyGroup(aim.groups, key, aim.strict), shape, newKey, sticky)
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
