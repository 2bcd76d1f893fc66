/**
 * What of one request says which instance of its version it gets: the key that `balance: hash` goes by, and the affinity
 * cookie. Made only for services that have either. It picks by nothing else and judges no health.
 */
import { noKey } from '../balance/pick-endpoint.ts'
import { serviceDigits } from '../balance/identity.ts'
import { hashText } from '../balance/rendezvous.ts'
import { isUsable } from '../balance/usable.ts'
import { admission, type BoundEndpoint, type BoundGroup, type EndpointState } from '../live/runtime.ts'
import type { ServicePolicy } from '../policy/policy.ts'
import type { AffinityPolicy } from '../policy/traffic.ts'
import { cookieValues } from '../table/request-text.ts'
import { cookieLine, requestKey } from './request-key.ts'

/** Services of one host that share the cookie's name share its value: a token of each, the latest first, at most so many. */
const tokensMax = 8
/** A browser may have more than one cookie of the name (another path, another domain); a client that sends more is none. */
const valuesMax = 4

export class Tie {
  /** Undefined: `balance` is not `hash`, or the request has no key. */
  readonly key: string | undefined
  /** Of `key`, or {@link noKey}. */
  readonly keyHash: number
  readonly #affinity: AffinityPolicy | undefined
  /** What the client's cookie says. */
  readonly #tokens: readonly string[]

  /** `lines`: the request's head. */
  constructor({ balance, hash, affinity }: ServicePolicy, lines: string, clientAddress: string) {
    this.key = balance === 'hash' ? requestKey(hash.key, lines, clientAddress) : undefined
    this.keyHash = this.key === undefined ? noKey : hashText(this.key, 0)
    this.#affinity = affinity
    this.#tokens = affinity ? tokensOf(cookieValues(lines, affinity.cookie)) : []
  }

  /** The instance of `group` that the cookie names; undefined: none, or one that has left. */
  named({ endpoints }: BoundGroup): BoundEndpoint | undefined {
    if (this.#tokens.length === 0) return undefined
    return endpoints.find(({ token }) => this.#tokens.includes(token))
  }

  /** The one that the cookie names, while it may be had: ejected, drained or gone it gives way. */
  holder(group: BoundGroup, tried: readonly EndpointState[]): BoundEndpoint | undefined {
    const named = this.named(group)
    if (named === undefined || !isUsable(named, tried)) return undefined
    if (named.state.admission < admission.ejected) return named
    // Too few are left to keep it out: it is as good as another, unless there is a better one.
    const better = group.endpoints.some((one) => one.state.admission < admission.ejected && isUsable(one, tried))
    return better ? undefined : named
  }

  /** The line that names the instance that answered; '' where the client's cookie does, or there is no affinity. */
  cookieLine({ token }: BoundEndpoint, secure: boolean): string {
    const affinity = this.#affinity
    if (affinity === undefined || token === '' || this.#tokens.includes(token)) return ''
    const service = token.slice(0, serviceDigits)
    const others = this.#tokens.filter((one) => !one.startsWith(service))
    return cookieLine(
      affinity.cookie,
      [token, ...others.slice(0, tokensMax - 1)].join('.'),
      affinity.maxAgeSeconds,
      secure,
    )
  }
}

function tokensOf(values: readonly string[]): readonly string[] {
  const tokens = new Set<string>()
  for (const value of values.slice(0, valuesMax))
    for (const part of value.split('.', tokensMax)) if (/^[0-9a-f]{24}$/.test(part)) tokens.add(part)
  return [...tokens]
}
