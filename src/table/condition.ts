/**
 * Compiles a rule's conditions, so that a request costs the length of the texts that are looked at. What is compiled is what
 * `explain` shows: it tells the same conditions one by one. Pure.
 */
import type { Ip } from '../policy/ip.ts'
import type { Condition, Rule } from '../policy/traffic.ts'
import { Check, subjects } from './check.ts'
import { findCookies, findFields, findQuery, someCookie, someHeader, someQuery } from './request-text.ts'
import { Spans } from './spans.ts'

/** What a condition may ask of a request. */
export interface RequestView {
  readonly method: string
  /** With its query, as it came. */
  readonly target: string
  /** Normalised, without the query. */
  readonly path: string
  /** Header lines, each with its CRLF. */
  readonly lines: string
  /** The client's; undefined: it has none (a Unix socket). */
  readonly clientIp: Ip | undefined
}

function holds(check: Check, request: RequestView): boolean {
  switch (check.subject) {
    case subjects.method:
      return check.holds(request.method, 0, request.method.length) !== check.isNegated
    case subjects.path:
      return check.holds(request.path, 0, request.path.length) !== check.isNegated
    case subjects.header:
      return someHeader(request.lines, fieldsOf(request), check.name, check) !== check.isNegated
    case subjects.cookie:
      return someCookie(request.lines, cookiesOf(request), check.name, check) !== check.isNegated
    case subjects.query:
      return someQuery(request.target, queryOf(request), check.name, check) !== check.isNegated
    default:
      return check.isWithin(request.clientIp) !== check.isNegated
  }
}

// === What a request has, found when a condition first asks ===

/** Of the request that was asked last: rules are asked of one request after the other, never of two at once. */
class Found {
  #request: RequestView | undefined
  readonly spans = new Spans()

  /** Whether `spans` has to be made anew, of this request. */
  isStale(request: RequestView): boolean {
    if (this.#request === request) return false
    this.#request = request
    return true
  }
}

const fields = new Found()
const cookies = new Found()
const query = new Found()

function fieldsOf(request: RequestView): Spans {
  if (fields.isStale(request)) findFields(request.lines, fields.spans)
  return fields.spans
}

function cookiesOf(request: RequestView): Spans {
  if (cookies.isStale(request)) findCookies(request.lines, fieldsOf(request), cookies.spans)
  return cookies.spans
}

function queryOf(request: RequestView): Spans {
  if (query.isStale(request)) findQuery(request.target, query.spans)
  return query.spans
}

// === Rules ===

/** The conditions of one rule; undefined: it has none, and every request matches. */
export type Conditions = Check | undefined

/** Equal conditions are compiled once, so that what routes have in common stays near to the processor; this many at most. */
const sharedMax = 4_096
const shared = new Map<string, Check>()

/** All of them. */
export function compileConditions(conditions: readonly Condition[]): Conditions {
  if (conditions.length === 0) return undefined
  const key = JSON.stringify(conditions)
  const known = shared.get(key)
  if (known) return known
  let all: Conditions
  for (const condition of conditions.toSorted((a, b) => subjects[b.subject] - subjects[a.subject]))
    all = new Check(condition, all)
  if (shared.size >= sharedMax) shared.clear()
  if (all) shared.set(key, all)
  return all
}

const compiled = new WeakMap<readonly Rule[], readonly Conditions[]>()

/** Those of each rule. The routes of a service have its rules in common, from one table to the next. */
export function compileRules(rules: readonly Rule[]): readonly Conditions[] {
  const known = compiled.get(rules)
  if (known) return known
  const all = rules.map(({ when }) => compileConditions(when))
  compiled.set(rules, all)
  return all
}

export function allHold(conditions: Conditions, request: RequestView): boolean {
  for (let check = conditions; check; check = check.and) if (!holds(check, request)) return false
  return true
}

/** The first of `rules` whose conditions all hold, -1 where none's do; `asked` gets for each that was asked whether they did. */
export function firstMatch(rules: readonly Conditions[], request: RequestView, asked?: boolean[]): number {
  for (let at = 0; at < rules.length; at++) {
    const matches = allHold(rules[at], request)
    asked?.push(matches)
    if (matches) return at
  }
  return -1
}
