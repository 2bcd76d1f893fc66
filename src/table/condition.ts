/**
 * Compiles a rule's conditions into one test, so that a request costs the length of the texts that are looked at. What is
 * compiled is what `explain` shows: it tells the same conditions one by one. Pure.
 */
import { type Ip, isWithin, parseRange } from '../policy/ip.ts'
import type { Condition, TextMatch } from '../policy/traffic.ts'
import { compileGlob } from './glob.ts'
import { normalPath } from './prefix.ts'
import { someCookie, someHeader, someQuery } from './request-text.ts'

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

export type Test = (request: RequestView) => boolean

/** Whether one text matches; `present` matches any. Under `not`, the caller has to ask for none of several. */
function compileText(match: TextMatch): (text: string) => boolean {
  switch (match.kind) {
    case 'equals':
      return (text) => text === match.value
    case 'prefix':
      return (text) => text.startsWith(match.value)
    case 'oneOf': {
      const values = new Set(match.values)
      return (text) => values.has(text)
    }
    case 'glob':
      return compileGlob(match.value)
    case 'present':
      return () => true
    default: {
      const inner = compileText(match.match)
      return (text) => !inner(text)
    }
  }
}

type Some = (request: RequestView, test: (value: string) => boolean) => boolean

/** `some` of the values, or under `not` none of them. */
function compileValues(match: TextMatch, some: Some): Test {
  if (match.kind === 'not') {
    const inner = compileText(match.match)
    return (request) => !some(request, inner)
  }
  const test = compileText(match)
  return (request) => some(request, test)
}

/** As the paths are that it is compared with: `/%61dmin` would else never be one. */
function normalised(match: TextMatch): TextMatch {
  switch (match.kind) {
    case 'equals':
    case 'prefix':
    case 'glob':
      return { kind: match.kind, value: normalPath(match.value) }
    case 'oneOf':
      return { kind: 'oneOf', values: match.values.map(normalPath) }
    case 'not':
      return { kind: 'not', match: normalised(match.match) }
    default:
      return match
  }
}

/** Equal conditions share one test, so that what routes have in common stays near to the processor; this many at most. */
const sharedMax = 4_096
const shared = new Map<string, Test>()

/** One condition. */
export function compileCondition(condition: Condition): Test {
  const key = JSON.stringify(condition)
  const known = shared.get(key)
  if (known) return known
  const test = compile(condition)
  if (shared.size >= sharedMax) shared.clear()
  shared.set(key, test)
  return test
}

function compile(condition: Condition): Test {
  switch (condition.subject) {
    case 'header': {
      const { name } = condition
      return compileValues(condition.match, ({ lines }, test) => someHeader(lines, name, test))
    }
    case 'cookie': {
      const { name } = condition
      return compileValues(condition.match, ({ lines }, test) => someCookie(lines, name, test))
    }
    case 'query': {
      const { name } = condition
      return compileValues(condition.match, ({ target }, test) => someQuery(target, name, test))
    }
    case 'method': {
      const test = compileText(condition.match)
      return ({ method }) => test(method)
    }
    case 'path': {
      const test = compileText(normalised(condition.match))
      return ({ path }) => test(path)
    }
    default: {
      const ranges = condition.ranges.map(parseRange).filter((range) => range !== undefined)
      const { within } = condition
      return ({ clientIp }) =>
        clientIp === undefined ? !within : ranges.some((range) => isWithin(clientIp, range)) === within
    }
  }
}

/** All of them. */
export function compileConditions(conditions: readonly Condition[]): Test {
  const tests = conditions.map(compileCondition)
  const [only] = tests
  return only && tests.length === 1 ? only : (request) => tests.every((test) => test(request))
}
