/**
 * The settings that share requests among versions and instances: weights, rules, stickiness, affinity, hashing, mirroring.
 * A service may have them all, and a route some of them. Declared as in `schema.ts`. Pure.
 */
import type {
  AffinityPolicy,
  FixedAnswer,
  HashPolicy,
  MirrorPolicy,
  Redirect,
  RequestKey,
  Rule,
  RuleAction,
  StickyPolicy,
} from '../policy/traffic.ts'
import type { TrafficSettings } from './config.ts'
import {
  Because,
  choice,
  list,
  mapped,
  named,
  optional,
  orWord,
  required,
  scalar,
  section,
  shorthand,
  withDefault,
} from './declare.ts'
import type { Setting } from './declare.ts'
import { failoverSchema, splitSchema } from './schema-split.ts'
import { only, seenHeader, whenSchema } from './schema-when.ts'
import { cookieName, duration, flag, integer, plainText, share, weight } from './scalars.ts'

const day = 86_400_000

const location: Setting<string> = scalar({
  type: 'url',
  expected: 'a path such as /new$path or a URL such as https://$host$path',
  parse(text) {
    if (!/^[\x21-\x7e]{1,2048}$/.test(text)) return undefined
    const unknown = /\$(?!path\b|host\b)/.exec(text)
    if (unknown) return new Because('only $path and $host are replaced')
    if (text.startsWith('/') && !text.startsWith('//')) return text
    if (text.startsWith('$path')) return text
    return /^https?:\/\/[^/?#]+/.test(text) ? text : new Because('it begins with / or with http:// or https://')
  },
})

const redirectStatus: Setting<Redirect['status']> = mapped(
  choice('301', '302', '303', '307', '308'),
  '301, 302, 303, 307 or 308',
  (text) => Number(text) as Redirect['status'],
)

/** A text by itself is where to. */
export const redirectSchema: Setting<Redirect> = shorthand(
  section({
    to: required(
      location,
      'A path or a URL; `$path` is the path behind that of the route with the query, `$host` the host of the request.',
    ),
    status: withDefault(redirectStatus, 308, 'How: for good (301, 308), for now (302, 307), or with GET (303).', '308'),
  }),
  (raw) => (typeof raw === 'string' ? { to: raw } : raw),
)

const answerSchema: Setting<FixedAnswer> = mapped(
  section({
    status: required(integer({ min: 200, max: 599 }), 'Its status.'),
    body: withDefault(
      scalar({
        type: 'text',
        expected: 'a text of at most 64 KiB',
        parse: (text) => (text.length <= 65_536 ? text : undefined),
      }),
      '',
      'Its content.',
      'none',
    ),
    contentType: withDefault(
      scalar({
        type: 'text',
        expected: 'a media type such as text/plain; charset=utf-8',
        parse: (text) => (/^[\x21-\x7e][\x20-\x7e]{2,127}$/.test(text) ? text : undefined),
      }),
      'text/plain; charset=utf-8',
      'What its content is.',
    ),
  }),
  'an answer that has a body only where its status allows one',
  (answer) =>
    answer.body !== '' && [204, 205, 304].includes(answer.status)
      ? new Because(`${String(answer.status)} has no body`)
      : answer,
)

const versionName: Setting<string> = plainText('a version', 128)

const ruleSchema: Setting<Rule> = mapped(
  section({
    when: required(whenSchema, 'All of these must hold.'),
    version: optional(versionName, 'Then this version, whatever its weight.'),
    service: optional(plainText('the name of a service'), 'Then another service, by its own weights.'),
    redirect: optional(redirectSchema, 'Then a redirect.'),
    answer: optional(answerSchema, 'Then this answer.'),
  }),
  'one of version, service, redirect and answer',
  (rule): Rule | Because => {
    const kind = only(rule, ['version', 'service', 'redirect', 'answer'])
    if (kind instanceof Because) return kind
    const { when, version = '', service = '', redirect, answer } = rule
    let action: RuleAction = { kind: 'version', version }
    if (kind === 'service') action = { kind, service }
    else if (kind === 'redirect' && redirect) action = { kind, redirect }
    else if (kind === 'answer' && answer) action = { kind, answer }
    return Object.freeze({ when, action: Object.freeze(action) })
  },
)

const requestKeyKeys = {
  cookie: optional(cookieName(), 'By this cookie.'),
  header: optional(seenHeader, 'By this header.'),
  ip: optional(flag(), 'By the client address.'),
}

/** The key that one of cookie, header and ip makes. */
function toKey(value: {
  readonly cookie?: string | undefined
  readonly header?: string | undefined
  readonly ip?: boolean | undefined
}): RequestKey | Because {
  const kind = only(value, ['cookie', 'header', 'ip'])
  if (kind instanceof Because) return kind
  if (kind === 'cookie') return { from: 'cookie', name: value.cookie ?? '' }
  if (kind === 'header') return { from: 'header', name: value.header ?? '' }
  return value.ip === true ? { from: 'client' } : new Because('ip: false is no key')
}

const maxAge = optional(
  duration({ min: 0, max: 400 * day }),
  'How long browsers keep the cookie; 0s: until they are closed.',
  '0s',
)

const seconds = (ms: number | undefined): number => Math.ceil((ms ?? 0) / 1_000)

/** `off` switches off what would be inherited. */
const orOff = <T>(schema: Setting<T>): Setting<T | 'off'> => orWord(schema, 'off')

/** Ties users to a version. */
export const stickySchema: Setting<StickyPolicy | 'off'> = orOff(
  mapped(section({ ...requestKeyKeys, maxAge }), 'one of cookie, header and ip', (value): StickyPolicy | Because => {
    const key = toKey(value)
    if (key instanceof Because) return key
    if (key.from === 'cookie') return { ...key, maxAgeSeconds: seconds(value.maxAge) }
    return value.maxAge === undefined ? key : new Because('maxAge belongs to a cookie')
  }),
)

const mirrorSchema: Setting<MirrorPolicy | 'off'> = orOff(
  mapped(
    section({
      version: required(versionName, 'The version that gets them too.'),
      share: withDefault(share(), 1, 'Which share of the GET, HEAD and OPTIONS requests without a body.'),
      timeout: withDefault(
        duration({ min: 10, max: 600_000 }),
        10_000,
        'What the version has not answered whole by then is cut.',
      ),
      concurrency: withDefault(
        integer({ min: 1, max: 1_024 }),
        64,
        'Most of them at once, for each version; what would be more is counted and not sent.',
      ),
    }),
    'a version and a share above 0%',
    ({ version, share: part, timeout, concurrency }): MirrorPolicy | Because =>
      part > 0
        ? Object.freeze({ version, share: part, timeoutMs: timeout, concurrency })
        : new Because('a share of 0% mirrors nothing; write mirror: off'),
  ),
)

/** Ties clients to an instance. */
export const affinitySchema: Setting<AffinityPolicy | 'off'> = orOff(
  mapped(
    section({
      cookie: required(cookieName(), 'The cookie; it names the instance without telling its address.'),
      maxAge,
    }),
    'a cookie',
    ({ cookie, maxAge: age }): AffinityPolicy => ({ cookie, maxAgeSeconds: seconds(age) }),
  ),
)

const loadFactor: Setting<number> = scalar({
  type: 'number',
  expected: 'a factor of 1 to 10',
  bounds: '1 to 10',
  parse: (text) =>
    /^\d{1,2}(\.\d+)?$/.test(text) && Number(text) >= 1 && Number(text) <= 10 ? Number(text) : undefined,
})

/** What `balance: hash` goes by. */
export const hashSchema: Setting<HashPolicy> = mapped(
  section({
    ...requestKeyKeys,
    loadFactor: withDefault(
      loadFactor,
      1.25,
      'No instance gets more than this times the average of requests in flight: what is too much goes to the next one.',
    ),
  }),
  'one of cookie, header and ip',
  (value): HashPolicy | Because => {
    const key = toKey(value)
    return key instanceof Because ? key : { key, loadFactor: value.loadFactor }
  },
)

/** What a service has and a route may have of its own. */
export const trafficKeys: { readonly [K in keyof TrafficSettings]-?: Setting<TrafficSettings[K]> } = {
  versions: optional(
    named(plainText('a version, or * for every version not named', 128), weight(), 'weights by version', 100),
    'Weights by version, on any scale; `*` is every version not named. A version not named gets nothing.',
    'all versions, by the weights of their instances',
  ),
  split: optional(
    splitSchema,
    'Shares the requests among several services first; `versions` beside it is for parts that name none. A stronger place that says `versions` alone ends it.',
    'all for one service',
  ),
  failover: optional(
    failoverSchema,
    'Who gets the requests where no instance of the service, or of its split, is available; in this order. `[]`: nobody.',
    'nobody (503)',
  ),
  rules: optional(list(ruleSchema, 'rules', 1_000), 'The first that matches decides, before any weight.', 'none'),
  sticky: optional(
    stickySchema,
    'Keeps users on the version they got, by a hash of this and the weights; `off`: each request anew.',
    'off',
  ),
  fallback: optional(
    choice('others', 'none'),
    'Where the share of a version goes while none of its instances is available: to the others, or nowhere (503).',
    'others',
  ),
  mirror: optional(
    mirrorSchema,
    'Sends a share of the safe requests to another version as well, whose answers are dropped and compared; `off`: none.',
    'off',
  ),
}

/** {@link trafficKeys} by themselves. */
export const trafficSchema: Setting<TrafficSettings> = section(trafficKeys)
