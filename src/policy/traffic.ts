/**
 * How the requests of a route or a service are shared among versions, and which instance of a version they get: types, and how many there may be.
 * What writes them is elsewhere (configuration, KV, Consul's entries, tags), and so is what carries them out.
 */

/** A condition on one text of a request. Case matters. Nothing backtracks: each costs the length of the text. */
export type TextMatch =
  | { readonly kind: 'equals'; readonly value: string }
  | { readonly kind: 'prefix'; readonly value: string }
  | { readonly kind: 'oneOf'; readonly values: readonly string[] }
  /** `*` is any run of characters, all else is itself. */
  | { readonly kind: 'glob'; readonly value: string }
  /** It is there, if only as an empty text. */
  | { readonly kind: 'present' }
  /** The opposite, where it is absent too. */
  | { readonly kind: 'not'; readonly match: TextMatch }

/**
 * One condition of a rule. A header, cookie or query parameter that stands several times matches when one of its values
 * does; under `not` when none does.
 */
export type Condition =
  /** `name` is lower-case. Values of a field are taken line by line, as they came. */
  | { readonly subject: 'header'; readonly name: string; readonly match: TextMatch }
  | { readonly subject: 'cookie'; readonly name: string; readonly match: TextMatch }
  /** Name and values are compared decoded (percent, and `+` as a space). */
  | { readonly subject: 'query'; readonly name: string; readonly match: TextMatch }
  | { readonly subject: 'method'; readonly match: TextMatch }
  /** Normalised as for routes, without the query: a plain text, on which `prefix` knows no segments. */
  | { readonly subject: 'path'; readonly match: TextMatch }
  /** The client's address: the peer's, or what a trusted peer says of it. CIDR ranges, at least one. */
  | { readonly subject: 'client'; readonly ranges: readonly string[]; readonly within: boolean }

export interface Redirect {
  readonly status: 301 | 302 | 303 | 307 | 308
  /**
   * Where to: a path or an absolute URL. `$path` is the rest of the request's path behind the route's own, with the query;
   * `$host` the request's host without port.
   */
  readonly to: string
}

export interface FixedAnswer {
  /** 200 to 599, not 204, 205 or 304 with a body. */
  readonly status: number
  readonly body: string
  readonly contentType: string
}

/** What a rule changes of the path, in place of its route's own `strip` and `prepend`; written as there. */
export type Rewrite = Pick<ShapingPolicy, 'strip' | 'prepend'>

export type RuleAction =
  | { readonly kind: 'version'; readonly version: string; readonly rewrite?: Rewrite | undefined }
  /** Another service, by its own split, or this version of it whatever its weight. */
  | {
      readonly kind: 'service'
      readonly service: string
      readonly version?: string | undefined
      readonly rewrite?: Rewrite | undefined
    }
  | { readonly kind: 'redirect'; readonly redirect: Redirect }
  | { readonly kind: 'answer'; readonly answer: FixedAnswer }

/** The first rule whose conditions all hold decides, before any weight. */
export interface Rule {
  /** None: every request. */
  readonly when: readonly Condition[]
  readonly action: RuleAction
}

/** What a choice is tied to. */
export type RequestKey =
  | { readonly from: 'header'; readonly name: string }
  | { readonly from: 'cookie'; readonly name: string }
  /** The client's address, as in {@link Condition}. */
  | { readonly from: 'client' }

/** What ties a user to a version. A cookie that is missing is set, with a random value; the value alone decides. */
export type StickyPolicy =
  | Exclude<RequestKey, { readonly from: 'cookie' }>
  /** `maxAgeSeconds`: how long the browser keeps it; 0: until it is closed. */
  | { readonly from: 'cookie'; readonly name: string; readonly maxAgeSeconds: number }

/** A share of the safe requests without a body goes to another version as well; its answers are dropped and compared. */
export interface MirrorPolicy {
  readonly version: string
  /** Which share of them, above 0 to 1. */
  readonly share: number
  /** What has not ended after this long is cut, ms. */
  readonly timeoutMs: number
  /** Most of them at once; more are counted and not sent. */
  readonly concurrency: number
}

/** Ties a client to an instance, by a cookie that names it without saying where it is. */
export interface AffinityPolicy {
  readonly cookie: string
  /** 0: until the browser is closed. */
  readonly maxAgeSeconds: number
}

/** Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam, 2016). */
export interface HashPolicy {
  /** Requests without the key are balanced as `least-request`. */
  readonly key: RequestKey
  /** No instance gets more than this times the average of requests in flight; at least 1. */
  readonly loadFactor: number
}

/** Parts of one split, wherever it is written. */
export const splitPartsMax = 100
/** Those who stand by for one service or route. */
export const failoverMax = 16

/** Where requests go that one service alone does not take: another service, or a version. */
export interface SplitTarget {
  /** Undefined: the service that says so, or that of the route that does. */
  readonly service: string | undefined
  /** Undefined: by the weights of the service. Its rules and its own split are not asked. */
  readonly version: string | undefined
}

/** One part of what several services share. */
export interface SplitPart extends SplitTarget {
  /**
   * Any scale, at least 0. Undefined, and then of all parts: as much as the instances that are there, those with `weight=` in
   * their tags first (fabio). Then each part keeps what its service says of stickiness and of mirroring.
   */
  readonly weight: number | undefined
  /** What changes on the way there, in place of what the route says. */
  readonly shaping?: ShapingPolicy | undefined
  /** Whom it is for; others go to the other parts. Besides what the route says. */
  readonly access?: AccessPolicy | undefined
  /** Whether it wants TLS; see `RoutePolicy.upstreamTls`. */
  readonly upstreamTls?: boolean | undefined
}

/** What a route may say for itself, and then beats its service's own. */
export interface TrafficPolicy {
  /** Weight by version, any scale, at least 0; `*` is every version not named. Undefined: all, by instance weights. */
  readonly versions: ReadonlyMap<string, number> | undefined
  /**
   * Shares requests among several services, before any weights by version. Undefined: they are all for one. Whoever says `versions`
   * without it says that, too.
   */
  readonly split: readonly SplitPart[] | undefined
  /** In this order, where nobody of the service or of its split can answer. */
  readonly failover: readonly SplitTarget[]
  readonly rules: readonly Rule[]
  /** Undefined: each request anew, by chance. */
  readonly sticky: StickyPolicy | undefined
  /** What becomes of a version's share while none of its instances is available: the others get it, or 503. */
  readonly fallback: 'others' | 'none'
  /** Undefined: nothing is sent twice. */
  readonly mirror: MirrorPolicy | undefined
}

/** What a route changes on the way: what is undefined or empty changes nothing. */
export interface ShapingPolicy {
  /** Taken from the front of the path, on a segment boundary; what does not begin so is left. Normalised, without a trailing `/`. */
  readonly strip: string | undefined
  /** Then put in front of the path. Normalised, without a trailing `/`. */
  readonly prepend: string | undefined
  /** Host upstream: the client's own (undefined), the instance's `address:port`, or this one. */
  readonly host: { readonly kind: 'instance' } | { readonly kind: 'name'; readonly name: string } | undefined
  readonly request: HeaderChanges
  readonly response: HeaderChanges
}

/** In this order. Names are lower-case but in `set` and `add`, where they are written as they are here. */
export interface HeaderChanges {
  readonly remove: readonly string[]
  /** Replaces what was there. */
  readonly set: ReadonlyMap<string, string>
  /** Beside what was there. */
  readonly add: ReadonlyMap<string, string>
}

/** Who may use a route: CIDR ranges of client addresses, as in {@link Condition}. Others get 403. */
export interface AccessPolicy {
  /** Empty: everybody. */
  readonly allow: readonly string[]
  /** Beats `allow`. */
  readonly deny: readonly string[]
}

export const noHeaderChanges: HeaderChanges = Object.freeze({
  remove: Object.freeze([]),
  set: new Map(),
  add: new Map(),
})
