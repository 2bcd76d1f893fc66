/**
 * Header names the engine acts on, and how a name is recognised without lower-casing every line: a table by length and
 * first letter says which lines are worth a closer look. Owns the list; what each name means stands in the head parsers.
 */

/** Small integers, so that parsers switch on them. `other` is every name the engine only passes on. */
export const field = {
  other: 0,
  host: 1,
  contentLength: 2,
  transferEncoding: 3,
  connection: 4,
  /** Hop-by-hop without meaning to us: dropped (RFC 9110 section 7.6.1). */
  hop: 5,
  te: 6,
  upgrade: 7,
  expect: 8,
  via: 9,
  forwarded: 10,
  forwardedFor: 11,
  forwardedHost: 12,
  forwardedProto: 13,
  forwardedPort: 14,
  /** Other names that speak for the client's identity: dropped unless the peer is trusted. */
  identity: 15,
  requestId: 16,
  maxForwards: 17,
  keepAlive: 18,
  date: 19,
  realIp: 20,
  /** Names another method to the application than the request line does. */
  methodOverride: 21,
} as const

export type FieldId = (typeof field)[keyof typeof field]

const names = new Map<string, FieldId>([
  ['host', field.host],
  ['content-length', field.contentLength],
  ['transfer-encoding', field.transferEncoding],
  ['connection', field.connection],
  ['proxy-connection', field.hop],
  ['proxy-authenticate', field.hop],
  ['proxy-authorization', field.hop],
  ['proxy-authentication-info', field.hop],
  ['trailer', field.hop],
  ['http2-settings', field.hop],
  ['keep-alive', field.keepAlive],
  ['te', field.te],
  ['upgrade', field.upgrade],
  ['expect', field.expect],
  ['via', field.via],
  ['forwarded', field.forwarded],
  ['x-forwarded-for', field.forwardedFor],
  ['x-forwarded-host', field.forwardedHost],
  ['x-forwarded-proto', field.forwardedProto],
  ['x-forwarded-port', field.forwardedPort],
  ['x-real-ip', field.realIp],
  ['x-rewrite-url', field.identity],
  ['x-http-method-override', field.methodOverride],
  ['x-method-override', field.methodOverride],
  ['x-http-method', field.methodOverride],
  ['x-request-id', field.requestId],
  ['max-forwards', field.maxForwards],
  ['date', field.date],
])

const identityPrefixes = ['x-forwarded-', 'x-original-']

interface Listed {
  readonly name: string
  readonly id: FieldId
}

/** The listed names by (length, first letter), most often one; names of 32 and more are none of them. */
const buckets: (Listed[] | undefined)[] = Array.from({ length: 32 * 32 }, () => undefined)
for (const [name, id] of names) (buckets[(name.length << 5) | (name.charCodeAt(0) & 31)] ??= []).push({ name, id })

const letterX = 'x'.charCodeAt(0)

/** The field id of the token that stands at `from` to `end` in `text`, in any case. Allocates nothing. */
export function fieldId(text: string, from: number, end: number): FieldId {
  const length = end - from
  const first = text.charCodeAt(from)
  if (length < 32) {
    const bucket = buckets[(length << 5) | (first & 31)]
    if (bucket !== undefined)
      for (let index = 0; index < bucket.length; index++) {
        const listed = bucket[index]
        if (listed !== undefined && startsWithName(text, from, listed.name)) return listed.id
      }
  }
  if ((first | 0x20) === letterX)
    for (const prefix of identityPrefixes)
      if (length > prefix.length && startsWithName(text, from, prefix)) return field.identity
  return field.other
}

/** Whether the token at `from` begins with `name`, which is in lower case. Setting bit 5 lowers a token's letters and leaves the rest. */
function startsWithName(text: string, from: number, name: string): boolean {
  for (let index = 0; index < name.length; index++)
    if ((text.charCodeAt(from + index) | 0x20) !== name.charCodeAt(index)) return false
  return true
}

/**
 * True for a name that would be one the engine acts on, or one that speaks for the client, if its underscores were
 * dashes: some servers read them as the same name (CGI), so such a line could smuggle what we remove.
 */
export function isUnderscoreTwin(name: string): boolean {
  if (!name.includes('_')) return false
  const dashed = name.replaceAll('_', '-')
  return fieldId(dashed, 0, dashed.length) !== field.other
}

/** Never removed because a `Connection` line nominates them: end-to-end fields others rely on. */
export const neverNominated: ReadonlySet<string> = new Set(['cookie', 'authorization', 'set-cookie', 'via', 'date'])

/** Nominating these is an attack on framing or routing: the request is refused. */
export const fatalNominations: ReadonlySet<string> = new Set(['host', 'content-length', 'transfer-encoding'])

/** Fields that must not come in a trailer section, beyond those the engine acts on (RFC 9110 section 6.5.1). */
export function mayTrail(lowerName: string): boolean {
  if (fieldId(lowerName, 0, lowerName.length) !== field.other) return false
  if (lowerName.startsWith('content-')) return false
  return !notTrailing.has(lowerName)
}

const notTrailing = new Set([
  'authorization',
  'cookie',
  'set-cookie',
  'cache-control',
  'age',
  'expires',
  'location',
  'retry-after',
  'vary',
  'warning',
  'range',
  'www-authenticate',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
])
