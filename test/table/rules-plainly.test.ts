/** Rules as they are compiled mean what the most obvious reading of them means, whatever the rules and the request. */
import fc from 'fast-check'
import t from 'tap'
import { isWithin, parseIp, parseRange } from '../../src/policy/ip.ts'
import type { Condition, Rule, TextMatch } from '../../src/policy/traffic.ts'
import { allHold, compileConditions, compileRules, firstMatch, type RequestView } from '../../src/table/condition.ts'
import { normalPath } from '../../src/table/prefix.ts'
import { conditionText } from '../../src/table/show-rule.ts'

// === Plainly ===

/** A glob as a regular expression, which may backtrack. */
const globOf = (glob: string): RegExp =>
  new RegExp(
    `^${glob
      .replace(/[^*]/g, String.raw`\$&`)
      .replace(/\\[a-z0-9]/gi, (all) => all.slice(1))
      .replaceAll('*', '.*')}$`,
    's',
  )

function matches(match: TextMatch, text: string): boolean {
  switch (match.kind) {
    case 'equals':
      return text === match.value
    case 'prefix':
      return text.slice(0, match.value.length) === match.value
    case 'oneOf':
      return match.values.includes(text)
    case 'glob':
      return globOf(match.value).test(text)
    case 'present':
      return true
    default:
      return !matches(match.match, text)
  }
}

function normalised(match: TextMatch): TextMatch {
  if (match.kind === 'present') return match
  if (match.kind === 'not') return { kind: 'not', match: normalised(match.match) }
  if (match.kind === 'oneOf') return { kind: 'oneOf', values: match.values.map(normalPath) }
  return { kind: match.kind, value: normalPath(match.value) }
}

const some = (match: TextMatch, values: readonly string[]): boolean =>
  match.kind === 'not'
    ? !values.some((value) => matches(match.match, value))
    : values.some((value) => matches(match, value))

const untabbed = (text: string): string => text.replace(/^[ \t]+|[ \t]+$/g, '')

function fields(lines: string): readonly (readonly [string, string])[] {
  return lines
    .split('\r\n')
    .filter((line) => line !== '')
    .map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), untabbed(line.slice(line.indexOf(':') + 1))])
}

const valuesOf = (pairs: readonly (readonly [string, string])[], name: string): readonly string[] =>
  pairs.filter(([key]) => key === name).map(([, value]) => value)

function holdsPlainly(condition: Condition, request: RequestView): boolean {
  switch (condition.subject) {
    case 'header':
      return some(condition.match, valuesOf(fields(request.lines), condition.name))
    case 'cookie': {
      const pairs = valuesOf(fields(request.lines), 'cookie')
        .flatMap((line) => line.split(';'))
        .filter((pair) => pair.includes('='))
        .map(
          (pair) => [untabbed(pair.slice(0, pair.indexOf('='))), untabbed(pair.slice(pair.indexOf('=') + 1))] as const,
        )
      return some(condition.match, valuesOf(pairs, condition.name))
    }
    case 'query': {
      const { target } = request
      const search = target.includes('?') ? target.slice(target.indexOf('?')) : ''
      return some(condition.match, new URLSearchParams(search).getAll(condition.name))
    }
    case 'method':
      return matches(condition.match, request.method)
    case 'path':
      return matches(normalised(condition.match), request.path)
    default: {
      const { clientIp } = request
      const ranges = condition.ranges.map(parseRange).filter((range) => range !== undefined)
      return (clientIp !== undefined && ranges.some((range) => isWithin(clientIp, range))) === condition.within
    }
  }
}

// === At random, so that much of it meets ===

const value = fc.oneof(
  fc.stringMatching(/^[ab]{0,4}$/),
  fc.constantFrom('', 'a', 'a b', 'ba/*', 'beta', 'a'.repeat(40), '/a/b', '/%61', 'GET', 'post', '(.)'),
)
const plain: fc.Arbitrary<TextMatch> = fc.oneof(
  fc.record({ kind: fc.constant('equals' as const), value }),
  fc.record({ kind: fc.constant('prefix' as const), value }),
  fc.record({ kind: fc.constant('glob' as const), value: fc.oneof(value, fc.stringMatching(/^[ab*]{0,6}$/)) }),
  fc.record({ kind: fc.constant('oneOf' as const), values: fc.array(value, { minLength: 1, maxLength: 4 }) }),
  fc.constant({ kind: 'present' as const }),
)
const negated = (match: TextMatch): TextMatch => ({ kind: 'not', match })
const match = fc.oneof({ weight: 4, arbitrary: plain }, plain.map(negated), plain.map(negated).map(negated))
const fieldName = fc.constantFrom('x-a', 'x-b', 'a', 'xa', 'cookie', 'user-agent')
const name = fc.constantFrom('a', 'b', 'ab', 'aa', 'A')
const range = fc.constantFrom('10.0.0.0/8', '10.1.2.3/32', 'fd00::/8', '0.0.0.0/0', '::ffff:10.0.0.0/104')
const condition: fc.Arbitrary<Condition> = fc.oneof(
  fc.record({ subject: fc.constant('header' as const), name: fieldName, match }),
  fc.record({ subject: fc.constant('cookie' as const), name, match }),
  fc.record({
    subject: fc.constant('query' as const),
    name: fc.oneof(name, fc.constantFrom(' a', 'ä', '%', '')),
    match,
  }),
  fc.record({ subject: fc.constant('method' as const), match }),
  fc.record({ subject: fc.constant('path' as const), match }),
  fc.record({
    subject: fc.constant('client' as const),
    ranges: fc.array(range, { minLength: 1, maxLength: 3 }),
    within: fc.boolean(),
  }),
)

const pair = fc.stringMatching(/^[abA]{0,2}( ?=[ab ]{0,3})?$/)
const line = fc.oneof(
  fc
    .tuple(fc.constantFrom('X-A', 'x-b', 'A', 'XA', 'User-Agent', 'X-Other'), value)
    .map(([key, text]) => `${key}: ${text}`),
  fc
    .tuple(fc.constantFrom('Cookie:', 'cookie: '), fc.array(pair, { maxLength: 4 }))
    .map(([key, pairs]) => key + pairs.join('; ')),
)
const parameter = fc.tuple(
  fc.constantFrom('a', 'b', 'ab', '%61', '+a', '%20a', '%C3%A4', '%25', '', 'A', 'a%62'),
  fc.constantFrom('', '=', '=a', '=b%61', '=a+b', '=%62eta', '=a=b'),
)
const request: fc.Arbitrary<RequestView> = fc
  .record({
    method: fc.constantFrom('GET', 'POST', 'post', 'a', 'ab'),
    path: fc.oneof(fc.constantFrom('/', '/a/b', '/a', '/ab'), value),
    query: fc.array(parameter, { maxLength: 4 }),
    lines: fc.array(line, { maxLength: 6 }),
    client: fc.constantFrom('10.1.2.3', '::ffff:10.9.9.9', 'fd00::1', '192.0.2.1', ''),
  })
  .map(({ method, path, query, lines, client }) => ({
    method,
    path,
    target: query.length === 0 ? path : `${path}?${query.map((both) => both.join('')).join('&')}`,
    lines: lines.map((each) => `${each}\r\n`).join(''),
    clientIp: parseIp(client),
  }))

t.test('each condition, and the first rule of several', async (t) => {
  const when = fc.array(condition, { maxLength: 3 })
  let matched = 0
  fc.assert(
    fc.property(
      fc.array(when, { maxLength: 6 }),
      fc.array(request, { minLength: 1, maxLength: 3 }),
      (all, requests) => {
        const rules = all.map((conditions): Rule => ({ when: conditions, action: { kind: 'version', version: '1' } }))
        // One request after the other, back and forth: what was found in one is not taken for another's.
        for (const asked of [...requests, ...requests]) {
          for (const each of all.flat()) {
            const is = holdsPlainly(each, asked)
            if (allHold(compileConditions([each]), asked) !== is)
              throw new Error(`is ${String(is)}: ${conditionText(each)}`)
          }
          const plainly = all.map((conditions) => conditions.every((each) => holdsPlainly(each, asked)))
          const first = plainly.indexOf(true)
          const trace: boolean[] = []
          const at = firstMatch(compileRules(rules), asked, trace)
          if (at !== first) throw new Error(`the first that matches is ${String(first)}, not ${String(at)}`)
          if (String(trace) !== String(plainly.slice(0, at < 0 ? plainly.length : at + 1)))
            throw new Error(`told: ${String(trace)}`)
          if (at >= 0) matched++
        }
      },
    ),
    { numRuns: 1_500 },
  )
  t.ok(matched > 300, 'many of them match')
})
