/**
 * One condition of a rule, made ready: what it asks of a text is first its length and one letter, which tell most texts that
 * do not match without a look at what they are compared with. Asks a part of a longer text, and copies none but to look it
 * up among many. Pure.
 */
import { type Ip, type IpRange, isWithin, parseRange } from '../policy/ip.ts'
import type { Condition, TextMatch } from '../policy/traffic.ts'
import { Glob } from './glob.ts'
import { normalPath } from './prefix.ts'

/** In the order in which they are asked within a rule: what costs least comes first, since all must hold. */
export const subjects = { method: 0, path: 1, header: 2, cookie: 3, query: 4, client: 5 } as const
const kinds = { equals: 0, prefix: 1, oneOf: 2, glob: 3, present: 4 } as const

type Plain = Exclude<TextMatch, { readonly kind: 'not' }>

/**
 * All have one shape, whatever they ask, so that rules are a walk over plain fields; those that most checks come to an end
 * with stand first, and so within one line of the processor's cache.
 */
export class Check {
  readonly subject: (typeof subjects)[keyof typeof subjects]
  /** It holds where no value is as asked; what is absent is not. */
  readonly isNegated: boolean
  /** No shorter and no longer text matches. */
  readonly #least: number
  readonly #most: number
  /** The letter that stands at its place, counted from the end where that is below 0. -1: any. */
  readonly #letter: number
  readonly #letterAt: number
  /** Each value is to be other than this. */
  readonly #isInverted: boolean
  readonly #kind: (typeof kinds)[keyof typeof kinds]
  readonly #text: string
  readonly #values: ReadonlySet<string> | undefined
  readonly #glob: Glob | undefined
  /** Of the header (lower case), cookie or query parameter. */
  readonly name: string
  readonly #ranges: readonly IpRange[]
  /** What must hold besides. */
  readonly and: Check | undefined

  constructor(condition: Condition, and: Check | undefined) {
    const isClient = condition.subject === 'client'
    const match = matchOf(condition)
    const { plain, inverted } = unwrapped(match.kind === 'not' ? match.match : match)
    const text = plain.kind === 'equals' || plain.kind === 'prefix' ? plain.value : ''
    const values = plain.kind === 'oneOf' ? plain.values : undefined
    const glob = plain.kind === 'glob' ? new Glob(plain.value) : undefined
    const lengths = values?.map(({ length }) => length)
    // Ends differ more often than beginnings, which the paths of a route have in common.
    const ends = glob !== undefined && glob.last !== ''
    const probed = ends ? glob.last : (glob?.first ?? text)
    this.subject = subjects[condition.subject]
    this.isNegated = isClient ? !condition.within : match.kind === 'not'
    this.#least = glob?.least ?? (lengths ? Math.min(...lengths) : text.length)
    this.#most = plain.kind === 'equals' ? text.length : lengths ? Math.max(...lengths) : Number.MAX_SAFE_INTEGER
    this.#letter = probed === '' ? -1 : probed.charCodeAt(probed.length - 1)
    this.#letterAt = ends ? -1 : probed.length - 1
    this.#isInverted = inverted
    this.#kind = kinds[plain.kind]
    this.#text = text
    this.#values = values && new Set(values)
    this.#glob = glob
    this.name = 'name' in condition ? condition.name : ''
    this.#ranges = isClient ? condition.ranges.map(parseRange).filter((range) => range !== undefined) : []
    this.and = and
  }

  /** Whether what stands in `text` between `from` and `end` is as asked. */
  holds(text: string, from: number, end: number): boolean {
    const length = end - from
    if (length < this.#least || length > this.#most) return this.#isInverted
    if (this.#letter >= 0) {
      const at = this.#letterAt < 0 ? end + this.#letterAt : from + this.#letterAt
      if (text.charCodeAt(at) !== this.#letter) return this.#isInverted
    }
    return this.#matches(text, from, end) !== this.#isInverted
  }

  #matches(text: string, from: number, end: number): boolean {
    switch (this.#kind) {
      case kinds.equals:
      case kinds.prefix:
        return text.startsWith(this.#text, from)
      case kinds.oneOf:
        return this.#values?.has(text.slice(from, end)) === true
      case kinds.glob:
        return this.#glob?.matches(text, from, end) === true
      default:
        return true
    }
  }

  /** Whether one of the ranges has it; undefined: a client without an address. */
  isWithin(client: Ip | undefined): boolean {
    if (client !== undefined) for (const range of this.#ranges) if (isWithin(client, range)) return true
    return false
  }
}

function matchOf(condition: Condition): TextMatch {
  if (condition.subject === 'client') return { kind: 'present' }
  return condition.subject === 'path' ? normalised(condition.match) : condition.match
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

function unwrapped(match: TextMatch): { readonly plain: Plain; readonly inverted: boolean } {
  if (match.kind !== 'not') return { plain: match, inverted: false }
  const { plain, inverted } = unwrapped(match.match)
  return { plain, inverted: !inverted }
}
