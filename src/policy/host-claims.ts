/**
 * Which services may take which hosts by their tags. Whoever may register could otherwise take any host, or a longer path below
 * one that is another's. It judges tags alone: who writes the configuration or the KV may route anything. Pure.
 */
import { compileGlob } from '../table/glob.ts'

/** One entry of the list; what several allow to one service adds up. */
export interface HostClaim {
  /** The name of a service, or a pattern in which `*` is any run of characters. */
  readonly service: string
  /**
   * Lower-case, at least one: exact; `*.example.com` for any name below it and for wildcards there; `*` for any host, and for
   * routes of no host.
   */
  readonly hosts: readonly string[]
}

type Check = (service: string) => readonly string[] | undefined

const checks = new WeakMap<readonly HostClaim[], Check>()

/**
 * Why a tag of `service` makes no route for `host` ('' for any host), to follow "…: "; undefined: it may. Without claims all may;
 * with claims only what one of them says.
 */
export function claimFault(
  claims: readonly HostClaim[] | undefined,
  service: string,
  host: string,
): string | undefined {
  if (claims === undefined) return undefined
  const hosts = checkOf(claims)(service)
  if (hosts === undefined) return `no entry of policy.claims names service ${service}`
  if (hosts.some((pattern) => covers(pattern, host))) return undefined
  const wanted = host === '' ? 'every host' : host
  return `policy.claims leaves it ${hosts.join(', ')}, not ${wanted}`
}

/** The hosts of a service; undefined: no entry names it. */
function checkOf(claims: readonly HostClaim[]): Check {
  const known = checks.get(claims)
  if (known) return known
  const compiled = claims.map(({ service, hosts }) => ({ names: compileGlob(service), hosts }))
  const check: Check = (service) => {
    const mine = compiled.filter(({ names }) => names(service))
    return mine.length === 0 ? undefined : mine.flatMap(({ hosts }) => hosts)
  }
  checks.set(claims, check)
  return check
}

/** `host` may be a wildcard itself; one is covered by the same and by those above it. */
function covers(pattern: string, host: string): boolean {
  if (pattern === '*' || pattern === host) return true
  return pattern.startsWith('*.') && host.endsWith(pattern.slice(1))
}
