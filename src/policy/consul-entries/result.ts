/**
 * What Consul's config entries ask for, in terms that do not depend on Consul: the result of `translate`. Types only. A
 * service's chain is read in this order: the first route that matches (routes), else the split, else the resolver.
 */
import type { Problem } from '../../core/problem.ts'

/** One condition on a text. `present` holds when there is a value at all, also an empty one. */
export type TextMatch =
  | { readonly kind: 'present' }
  | { readonly kind: 'exact'; readonly value: string }
  | { readonly kind: 'prefix'; readonly value: string }
  | { readonly kind: 'suffix'; readonly value: string }
  /** `*` is any run of characters. */
  | { readonly kind: 'glob'; readonly value: string }

export interface HeaderMatch {
  /** Lower case. */
  readonly name: string
  readonly match: TextMatch
  /** The condition must not hold. */
  readonly invert: boolean
}

export interface QueryMatch {
  /** As it stands in the query, case-sensitive. */
  readonly name: string
  readonly match: TextMatch
}

/** All that is given must hold; nothing given matches everything. */
export interface RouteMatch {
  /** `prefix` is a plain prefix of the text, not of segments: `/admin` also matches `/administrator`. */
  readonly path: { readonly kind: 'exact' | 'prefix' | 'glob'; readonly value: string } | undefined
  readonly headers: readonly HeaderMatch[]
  readonly query: readonly QueryMatch[]
  /** Upper case; empty: every method. */
  readonly methods: readonly string[]
}

/** Where a route, a share or a redirect leads. */
export interface Target {
  readonly service: string
  /** One of the target service's resolver's subsets. Absent: whatever its own chain says (split, default subset). */
  readonly subset: string | undefined
}

export interface RouteRetry {
  /** Attempts after the first; 0 to 100. */
  readonly retries: number
  /** Whether a connection that fails is tried again. */
  readonly onConnectFailure: boolean
  /** Statuses that are tried again; 100 to 599. */
  readonly onStatuses: readonly number[]
}

export interface EntryRoute {
  readonly match: RouteMatch
  readonly target: Target
  /** Replaces the matched path or prefix; absent: the path stays. */
  readonly prefixRewrite: string | undefined
  /** For the whole request, ms; absent: no word on it. */
  readonly requestTimeoutMs: number | undefined
  readonly retry: RouteRetry | undefined
}

export interface EntryShare {
  readonly target: Target
  /** 0 to 100 in hundredths of a percent: 0 to 10,000. All shares of a split are 10,000. */
  readonly weight: number
}

/** Which instances of a service a subset is. All conditions must hold; none: all instances. */
export interface EntrySubset {
  readonly conditions: readonly SubsetCondition[]
  /** Only instances that pass all checks; else those with a warning too. */
  readonly onlyPassing: boolean
}

export type SubsetCondition =
  /** `Service.Meta.KEY == VALUE` (an instance without the key has none of its values), `negated`: `!=`. */
  | { readonly kind: 'meta'; readonly key: string; readonly value: string; readonly negated: boolean }
  /** `"VALUE" in Service.Tags`, `negated`: `not in`. */
  | { readonly kind: 'tag'; readonly value: string; readonly negated: boolean }

export interface EntryResolver {
  readonly subsets: ReadonlyMap<string, EntrySubset>
  /** For whoever names no subset; absent: all instances. */
  readonly defaultSubset: string | undefined
  /** Everything that asks for this service is meant for that one. With it there is nothing else. */
  readonly redirect: Target | undefined
  /** By subset, `*` for every one that is not named: where to go when it has no instance, in this order. */
  readonly failover: ReadonlyMap<string, readonly Target[]>
  readonly connectTimeoutMs: number | undefined
}

/** What one service's entries ask for; what is undefined was not said, or could not be used and is a problem. */
export interface EntryService {
  readonly name: string
  /** In order: the first that matches wins. */
  readonly routes: readonly EntryRoute[] | undefined
  readonly split: readonly EntryShare[] | undefined
  readonly resolver: EntryResolver | undefined
}

export interface Translation {
  /** By name, in order of names; services with at least one entry that can be used. */
  readonly services: ReadonlyMap<string, EntryService>
  /** `bad-config-entry`: where is `config-entries/KIND/NAME` and the message names the field. Each costs its entry. */
  readonly problems: readonly Problem[]
}
