/**
 * What a rule may ask of a request, and what it cannot: conditions that no request meets are refused, since they would else
 * match nothing and say nothing. Declared as in `schema.ts`. Pure.
 */
import type { Condition, TextMatch } from '../policy/traffic.ts'
import { compileGlob } from '../table/glob.ts'
import { field, fieldId } from '../wire/names.ts'
import { cidr } from './addresses.ts'
import { Because, list, mapped, named, optional, scalar, section, shorthand } from './declare.ts'
import type { Setting } from './declare.ts'
import { cookieName, flag, headerName, plainText } from './scalars.ts'

/** The only key of `value` that is there; a refusal when there are none or several. */
export function only<K extends string>(value: { readonly [P in K]?: unknown }, keys: readonly K[]): K | Because {
  const there = keys.filter((key) => value[key] !== undefined)
  const [first] = there
  if (first !== undefined && there.length === 1) return first
  return new Because(there.length === 0 ? 'none of them stands here' : `${there.join(' and ')} stand here together`)
}

/** What a text must be. Empty texts can be asked for. */
const anyText: Setting<string> = scalar({
  type: 'text',
  expected: 'a text of at most 1024 printable characters',
  parse: (text) => (/^[\x20-\x7e\x80-\u{10ffff}]{0,1024}$/u.test(text) ? text : undefined),
})

const expectedMatch = 'a text, or one of equals, prefix, oneOf, glob, present and not'

interface PlainMatch {
  readonly equals?: string | undefined
  readonly prefix?: string | undefined
  readonly oneOf?: readonly string[] | undefined
  readonly glob?: string | undefined
  readonly present?: boolean | undefined
}

const plainMatchNames = ['equals', 'prefix', 'oneOf', 'glob', 'present'] as const

function toPlainMatch(value: PlainMatch): TextMatch | Because {
  const kind = only(value, plainMatchNames)
  if (kind instanceof Because) return kind
  switch (kind) {
    case 'equals':
      return { kind, value: value.equals ?? '' }
    case 'prefix':
      return { kind, value: value.prefix ?? '' }
    case 'glob':
      return { kind, value: value.glob ?? '' }
    case 'oneOf':
      return value.oneOf?.length === 0 ? new Because('oneOf is empty') : { kind, values: value.oneOf ?? [] }
    default:
      return value.present === true ? { kind: 'present' } : { kind: 'not', match: { kind: 'present' } }
  }
}

const equalsIfText = (raw: unknown): unknown => (typeof raw === 'string' ? { equals: raw } : raw)

/** What a text of a request must be like: `text` is what it can be at all, `start` and `glob` what can be said of it in part. */
function matchSchema(text: Setting<string>, start: Setting<string>, glob: Setting<string>): Setting<TextMatch> {
  const keys = {
    equals: optional(text, 'Exactly this; a text by itself means the same.'),
    prefix: optional(start, 'It begins with this.'),
    oneOf: optional(list(text, 'texts', 1_000), 'Exactly one of these.'),
    glob: optional(glob, 'With `*` for any run of characters.'),
    present: optional(flag(), 'Whether it is there at all.'),
  }
  const plain = shorthand(mapped(section(keys), expectedMatch, toPlainMatch), equalsIfText)
  return shorthand(
    mapped(
      section({ ...keys, not: optional(plain, 'None of its values is like this.') }),
      expectedMatch,
      (value): TextMatch | Because => {
        const kind = only(value, [...plainMatchNames, 'not'])
        if (kind instanceof Because || kind !== 'not') return kind instanceof Because ? kind : toPlainMatch(value)
        if (value.not?.kind === 'not') return new Because('present: false under not is present: true')
        return value.not ? { kind: 'not', match: value.not } : new Because('not is empty')
      },
    ),
    equalsIfText,
  )
}

const valueMatch = matchSchema(anyText, anyText, anyText)

/** Who writes one of these in other letters meant it; those that somebody made up are as they are. */
const methods = (
  'GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH QUERY PURGE LINK UNLINK ' +
  'PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK SEARCH REPORT MERGE BIND UNBIND'
).split(' ')

/** A method, or what is said of one in part: in other letters than `isKnown` has it, it would match none and say nothing. */
const methodText = (isKnown: (text: string) => boolean): Setting<string> =>
  scalar({
    type: 'text',
    expected: 'a method such as GET',
    parse(text) {
      if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/.test(text))
        return new Because('a method is one word, and several are a list in oneOf')
      const upper = text.toUpperCase()
      if (isKnown(text) || !isKnown(upper)) return text
      return new Because('case matters in methods (RFC 9110 section 9.1)', upper)
    },
  })

const methodMatch = matchSchema(
  methodText((text) => methods.includes(text)),
  methodText((text) => methods.some((method) => method.startsWith(text))),
  methodText((text) => methods.some(compileGlob(text))),
)

/** A path as requests have it, or with `isPattern` a glob of one: any other would match none and say nothing. */
const pathText = (isPattern: boolean): Setting<string> =>
  scalar({
    type: 'text',
    expected: 'a path such as /cart',
    parse(text) {
      if (text.length > 1_024) return new Because('the most is 1024 characters')
      if (!text.startsWith('/') && !(isPattern && text.startsWith('*'))) return new Because('it begins with /')
      if (/[?#]/.test(text)) return new Because('a path is without query and fragment; query asks for parameters')
      return /^[\x21-\x7e]*$/.test(text) ? text : new Because('write what is not printable ASCII as %XX')
    },
  })

/** Who asks for one of these asks for the client's address. */
const clientHeaders = new Set(['forwarded', 'x-forwarded-for', 'x-real-ip'])

/** The name of a header that a request can still have where rules and keys are asked; lower case inside. */
export const seenHeader: Setting<string> = scalar({
  type: 'header',
  expected: 'the name of a header such as x-service-id',
  parse(text) {
    const name = headerName().safeParse(text).data
    if (name === undefined || isSeen(name)) return name
    if (name === 'host') return new Because('it is not seen here; host of a route asks for it')
    if (clientHeaders.has(name))
      return new Because('it is not seen here; the client address is, as `trust` lets it be known')
    return new Because("it is not seen here: it is of one connection, or Fairlead's own")
  },
})

/** See `parseRequestHead`: what it keeps among the lines, from some peers at least. */
function isSeen(name: string): boolean {
  const id = fieldId(name, 0, name.length)
  return (
    id === field.other || id === field.via || id === field.date || id === field.identity || id === field.maxForwards
  )
}

const clientsSchema: Setting<{
  readonly in?: readonly string[] | undefined
  readonly not?: readonly string[] | undefined
}> = shorthand(
  section({
    in: optional(list(cidr(), 'CIDR ranges', 1_000), 'It is in one of these ranges; a range or a list means the same.'),
    not: optional(list(cidr(), 'CIDR ranges', 1_000), 'It is in none of these.'),
  }),
  (raw) => (typeof raw === 'string' ? { in: [raw] } : Array.isArray(raw) ? { in: raw } : raw),
)

const queryName: Setting<string> = plainText('the name of a query parameter', 128)

/** What a rule asks of a request. */
export const whenSchema: Setting<readonly Condition[]> = mapped(
  section({
    header: optional(
      named(seenHeader, valueMatch, 'conditions by header', 100),
      'Headers, whose names have no case. Those of one connection, of framing and of forwarding are not seen.',
    ),
    cookie: optional(
      named(cookieName(), valueMatch, 'conditions by cookie', 100),
      'Cookies, whose names have their case.',
    ),
    query: optional(named(queryName, valueMatch, 'conditions by query parameter', 100), 'Query parameters, decoded.'),
    method: optional(methodMatch, 'The method, which has its case: `POST`, not `post`.'),
    path: optional(
      matchSchema(pathText(false), pathText(false), pathText(true)),
      'The path, normalised, without its query.',
    ),
    client: optional(clientsSchema, 'The client address, as `trust` lets it be known.'),
  }),
  'at least one of header, cookie, query, method, path and client',
  (when): readonly Condition[] | Because => {
    const conditions: Condition[] = []
    for (const subject of ['header', 'cookie', 'query'] as const)
      for (const [name, match] of when[subject] ?? []) conditions.push(Object.freeze({ subject, name, match }))
    if (when.method) conditions.push(Object.freeze({ subject: 'method', match: when.method }))
    if (when.path) conditions.push(Object.freeze({ subject: 'path', match: when.path }))
    for (const [ranges, within] of [
      [when.client?.in, true],
      [when.client?.not, false],
    ] as const)
      if (ranges) {
        if (ranges.length === 0) return new Because('an empty list of ranges matches nobody')
        conditions.push(Object.freeze({ subject: 'client', ranges, within }))
      }
    return conditions.length > 0 ? Object.freeze(conditions) : new Because('none of them stands here')
  },
)
