/**
 * What a route does beyond sending requests on by its service's weights: its own settings laid over its service's, rules,
 * ranges and changes of headers made ready to be used. A plain route has no plan, so that its requests pay nothing. Pure;
 * made once per route and table.
 */
import { type Ip, isWithin, parseRange } from '../policy/ip.ts'
import {
  type AccessPolicy,
  type HeaderChanges,
  type MirrorPolicy,
  noHeaderChanges,
  type Redirect,
  type Rule,
  type RuleAction,
  type ShapingPolicy,
  type StickyPolicy,
} from '../policy/traffic.ts'
import { compileRules, type Conditions } from './condition.ts'
import { mirrorOf, rulesOf } from './rule-targets.ts'
import type { Route } from './table.ts'

/** A route's shaping, ready to be used. */
export interface Shape {
  /** '' where there is nothing to take off. */
  readonly strip: string
  readonly prepend: string
  /** Upstream's Host; undefined: the client's. */
  readonly host: string | undefined
  /** Host is the instance's own address. */
  readonly hostIsInstance: boolean
  readonly request: LineChanges
  readonly response: LineChanges
  /** The line that tells upstream of the prefix that is taken off; '' where the route says something of that header itself. */
  readonly prefixLine: string
}

export interface LineChanges {
  /** Lower-case names of the lines to take out. */
  readonly drop: ReadonlySet<string>
  /** Lines to put behind the rest, each with its CRLF. */
  readonly lines: string
}

export interface PlannedRule {
  readonly rule: Rule
  readonly action: RuleAction
  /** What changes on the way of its requests: the route's own, or what the rule makes of it. */
  readonly shape: Shape | undefined
}

export interface PlannedPart {
  readonly shape: Shape | undefined
  /** As {@link Plan.admits}. */
  readonly admits: ((client: Ip | undefined) => boolean) | undefined
}

export interface Plan {
  readonly redirect: Redirect | undefined
  /** Whether a client at this address may; undefined: an address that is none, such as a Unix socket's. */
  readonly admits: ((client: Ip | undefined) => boolean) | undefined
  readonly rules: readonly PlannedRule[]
  /** Of each of them, apart: a rule that does not match is never looked at. */
  readonly conditions: readonly Conditions[]
  /** Of the services that share the route, in order. */
  readonly parts: readonly PlannedPart[]
  readonly sticky: StickyPolicy | undefined
  readonly fallback: 'others' | 'none'
  readonly shape: Shape | undefined
  readonly mirror: MirrorPolicy | undefined
}

/** Undefined: by weights, to any version that is available, and nothing else. */
export function planOf({ policy, service, parts = [] }: Route): Plan | undefined {
  const { traffic, redirect, access, shaping } = policy
  const own = service.policy
  const rules = rulesOf(policy, own)
  // A route may say that it has none of what its service has.
  const sticky = traffic && 'sticky' in traffic ? traffic.sticky : own.sticky
  const mirror = mirrorOf(policy, own)
  const fallback = traffic?.fallback ?? own.fallback
  const plain = rules.length === 0 && parts.length === 0 && fallback === 'others'
  if (plain && !redirect && !access && !sticky && !shaping && !mirror) return undefined
  const shape = shaping && shapeOf(shaping)
  return {
    redirect,
    admits: access && admission(access),
    rules: rules.map((rule) => {
      const { action } = rule
      const rewrite = 'rewrite' in action ? action.rewrite : undefined
      const own = rewrite ? shapeOf({ ...noShaping, ...shaping, ...rewrite }) : shape
      return { rule, action, shape: own }
    }),
    conditions: compileRules(rules),
    parts: parts.map(({ said }) => ({
      shape: said?.shaping ? shapeOf(said.shaping) : shape,
      admits: said?.access && admission(said.access),
    })),
    sticky,
    fallback,
    shape,
    mirror,
  }
}

const noShaping: ShapingPolicy = Object.freeze({
  strip: undefined,
  prepend: undefined,
  host: undefined,
  request: noHeaderChanges,
  response: noHeaderChanges,
})

function admission({ allow, deny }: AccessPolicy): (client: Ip | undefined) => boolean {
  const allowed = allow.map(parseRange).filter((range) => range !== undefined)
  const denied = deny.map(parseRange).filter((range) => range !== undefined)
  return (client) => {
    // Who cannot be told apart is let in only where everybody is.
    if (client === undefined) return allow.length === 0 && deny.length === 0
    if (denied.some((range) => isWithin(client, range))) return false
    return allow.length === 0 || allowed.some((range) => isWithin(client, range))
  }
}

function shapeOf({ strip = '', prepend = '', host, request, response }: ShapingPolicy): Shape {
  return {
    strip,
    prepend,
    host: host?.kind === 'name' ? host.name : undefined,
    hostIsInstance: host?.kind === 'instance',
    // What we tell of the prefix must not stand beside what a client claims of it.
    request: changesOf(request, strip === '' ? [] : ['x-forwarded-prefix']),
    response: changesOf(response, []),
    prefixLine: strip === '' || names(request, 'x-forwarded-prefix') ? '' : `X-Forwarded-Prefix: ${strip}\r\n`,
  }
}

function names({ remove, set, add }: HeaderChanges, name: string): boolean {
  return [...remove, ...set.keys(), ...add.keys()].some((each) => each.toLowerCase() === name)
}

function changesOf({ remove, set, add }: HeaderChanges, more: readonly string[]): LineChanges {
  const drop = new Set([...remove, ...more, ...[...set.keys()].map((name) => name.toLowerCase())])
  let lines = ''
  for (const [name, value] of [...set, ...add]) lines += `${name}: ${value}\r\n`
  return { drop, lines }
}
