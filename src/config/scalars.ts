/**
 * The kinds of value a setting can have: text in, value or refusal out, with bounds. One declaration of each kind
 * serves every setting of that kind. Knows no setting by name. Pure.
 */
import { formatDuration, formatShare, formatSize, parseDuration, parseShare, parseSize } from '../core/units.ts'
import { Because, scalar } from './declare.ts'
import type { Setting } from './declare.ts'

export interface Bounds {
  readonly min: number
  readonly max: number
  /** The word `unlimited` stands for Infinity. */
  readonly unlimited?: boolean
}

interface NumberKind {
  readonly type: string
  readonly example: string
  readonly unitHint: string
  readonly parse: (text: string) => number | undefined
  readonly format: (value: number) => string
}

function bounded(kind: NumberKind, bounds: Bounds): Setting<number> {
  const format = (value: number): string => (value === Infinity ? 'unlimited' : kind.format(value))
  const range = `${format(bounds.min)} to ${format(bounds.max)}${bounds.unlimited ? ', or unlimited' : ''}`
  return scalar({
    type: kind.type,
    expected: `${kind.example}, ${range}`,
    bounds: range,
    format,
    parse(text) {
      if (bounds.unlimited && text === 'unlimited') return Infinity
      const value = kind.parse(text)
      if (value === undefined) return /^\d+(\.\d+)?$/.test(text) ? new Because(kind.unitHint) : undefined
      if (value < bounds.min) return new Because(`the least is ${format(bounds.min)}`)
      return value > bounds.max ? new Because(`the most is ${format(bounds.max)}`) : value
    },
  })
}

/** Milliseconds. */
export function duration(bounds: Bounds): Setting<number> {
  const unitHint = 'a number needs a unit: ms, s, m, h or d'
  const example = 'a duration such as 500ms, 2s or 1m30s'
  return bounded({ type: 'duration', example, unitHint, parse: parseDuration, format: formatDuration }, bounds)
}

/** Bytes. */
export function size(bounds: Bounds): Setting<number> {
  const unitHint = 'a number needs a unit: B, KiB, MiB, GiB, kB, MB or GB'
  const example = 'a size such as 64KiB or 1MiB'
  return bounded({ type: 'size', example, unitHint, parse: parseSize, format: formatSize }, bounds)
}

/** A fraction of 0 to 1, written `20%`. */
export function share(): Setting<number> {
  return scalar({
    type: 'share',
    expected: 'a share such as 20%, 0% to 100%',
    bounds: '0% to 100%',
    format: formatShare,
    parse: (text) => parseShare(text) ?? (/^[\d.]+$/.test(text) ? new Because('a share is written with %') : undefined),
  })
}

export function integer(bounds: Bounds): Setting<number> {
  const parse = (text: string): number | undefined => (/^\d{1,15}$/.test(text) ? Number(text) : undefined)
  return bounded(
    { type: 'integer', example: 'a whole number', unitHint: 'it must be whole', parse, format: String },
    bounds,
  )
}

/** Share of traffic against others, on any scale. */
export function weight(): Setting<number> {
  const most = 1_000_000
  const least = 0.000001
  return scalar({
    type: 'number',
    expected: `a weight, a number of 0 to ${String(most)}`,
    bounds: `0 to ${String(most)}`,
    parse(text) {
      if (/^-\d/.test(text)) return new Because('a weight is not negative')
      if (/^\d+(\.\d+)?%$/.test(text)) return new Because('weights are on any scale, so leave out the %')
      if (!/^\d+(\.\d+)?$/.test(text)) return undefined
      const value = Number(text)
      if (value > 0 && value < least) return new Because(`a weight above 0 is at least ${least.toFixed(6)}`)
      return value <= most ? value : undefined
    },
  })
}

/** `true` or `false`, and nothing else that YAML 1.1 took for one. */
export function flag(): Setting<boolean> {
  return scalar({
    type: 'true \\| false',
    expected: 'true or false',
    parse: (text) => (text === 'true' ? true : text === 'false' ? false : undefined),
  })
}

/** Text of 1 to `most` characters without control characters. */
export function plainText(what: string, most = 255): Setting<string> {
  return scalar({
    type: 'text',
    expected: what,
    parse(text) {
      if (text === '') return new Because('it is empty')
      if (text.length > most) return new Because(`the most is ${String(most)} characters`)
      return hasControl(text) ? new Because('it has control characters') : text
    },
  })
}

/** As {@link plainText}, but empty text is a value too: nothing. */
export function maybeText(what: string): Setting<string> {
  const inner = plainText(what)
  return scalar({
    type: 'text',
    expected: what,
    parse: (text) =>
      text === '' ? '' : (inner.safeParse(text).data ?? new Because('it is too long or not printable')),
  })
}

/** Lower case inside. */
export function headerName(): Setting<string> {
  return scalar({
    type: 'header',
    expected: 'the name of a header such as x-service-id',
    parse: (text) => (/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/.test(text) ? text.toLowerCase() : undefined),
  })
}

/** A DNS name, no IP address. Lower case inside, without a dot at the end. */
export function hostName(): Setting<string> {
  const label = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?'
  const name = new RegExp(`^(?=.{1,253}$)${label}(?:\\.${label})*$`)
  return scalar({
    type: 'host name',
    expected: 'a host name such as api.example.com',
    parse(text) {
      const lower = text.toLowerCase().replace(/\.$/, '')
      if (/^[\d.]+$/.test(lower) || lower.includes(':')) return new Because('an IP address is no name')
      return name.test(lower) ? lower : undefined
    },
  })
}

/** RFC 6265 section 4.1.1. */
export function cookieName(): Setting<string> {
  return scalar({
    type: 'cookie',
    expected: 'the name of a cookie such as fairlead',
    parse: (text) => (/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/.test(text) ? text : undefined),
  })
}

/** The name of a file or folder. Relative ones are taken from the folder of the configuration file. */
export function path(what = 'a path'): Setting<string> {
  return scalar({
    type: 'path',
    expected: what,
    parse: (text) => (text !== '' && !text.includes('\0') ? text : undefined),
  })
}

/** Text that must never be shown. White space around it (files and variables often end in a line break) is dropped. */
export function secret(what: string): Setting<string> {
  return scalar({
    type: 'secret',
    expected: what,
    parse: (text) => (/^[\x21-\x7e]*$/.test(text.trim()) ? text.trim() : undefined),
  })
}

function hasControl(text: string): boolean {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  return /[\u0000-\u001f\u007f]/.test(text)
}
