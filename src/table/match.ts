/**
 * Finds what stands for a host and path: exact host, then the longest wildcard that has it, then any host; in each, the
 * longest path prefix on a segment boundary. Where a host has no matching path the next in that order is asked, so a
 * host that has only `/api` leaves the rest to `*.example.com` and to any. Built once per set of routes, then only read.
 * A match allocates nothing: prefixes and suffixes are found by a running hash, and the hit is verified by comparison.
 */
import type { Matcher } from '../live/runtime.ts'
import { routePrefix } from './prefix.ts'

/** What a matcher is made of: '' host is any, `*.suffix` any name below it but not itself. */
export interface MatchEntry<R> {
  readonly host: string
  readonly path: string
  readonly value: R
}

const SLASH = 47
const DOT = 46
/** FNV-1a, 32 bit: one multiplication per character, and spread enough for a Map that verifies its hits. */
const HASH_START = 0x811c9dc5 | 0
const HASH_PRIME = 0x01000193

/** A text with what stands for it; those with equal hashes form a chain. */
interface Slot<V> {
  readonly text: string
  readonly value: V
  readonly next: Slot<V> | undefined
}

/** The paths of one host. `everything` is what `/` stands for. */
interface Paths<R> {
  readonly slots: Map<number, Slot<{ readonly value: R }>>
  readonly longest: number
  readonly everything: { readonly value: R } | undefined
}

function hashForward(text: string): number {
  let hash = HASH_START
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), HASH_PRIME)
  return hash
}

function hashBackward(text: string): number {
  let hash = HASH_START
  for (let i = text.length - 1; i >= 0; i--) hash = Math.imul(hash ^ text.charCodeAt(i), HASH_PRIME)
  return hash
}

function buildPaths<R>(paths: ReadonlyMap<string, R>): Paths<R> {
  const slots = new Map<number, Slot<{ readonly value: R }>>()
  let longest = 0
  let everything: { readonly value: R } | undefined
  for (const [text, value] of paths) {
    if (text === '/') {
      everything = { value }
      continue
    }
    const hash = hashForward(text)
    slots.set(hash, { text, value: { value }, next: slots.get(hash) })
    longest = Math.max(longest, text.length)
  }
  return { slots, longest, everything }
}

/** The longest prefix of `path` that ends before a `/` or at its end. */
function findPath<R>(paths: Paths<R>, path: string): { readonly value: R } | undefined {
  let found = paths.everything
  if (paths.longest === 0) return found
  const { slots } = paths
  const end = Math.min(path.length, paths.longest)
  let hash = HASH_START
  for (let i = 0; i <= end; i++) {
    const code = i < path.length ? path.charCodeAt(i) : SLASH
    if (code === SLASH && i > 0)
      for (let slot = slots.get(hash); slot !== undefined; slot = slot.next)
        if (slot.text.length === i && path.startsWith(slot.text)) {
          found = slot.value
          break
        }
    hash = Math.imul(hash ^ code, HASH_PRIME)
  }
  return found
}

/**
 * Makes a matcher. On the same host and path the earlier entry stands. Paths are taken through {@link routePrefix}.
 * Cost of a match: the length of host and path, whatever the number of entries.
 */
export function createMatcher<R>(entries: readonly MatchEntry<R>[]): Matcher<R> {
  const byHost = new Map<string, Map<string, R>>()
  for (const { host, path, value } of entries) {
    const prefix = routePrefix(path)
    let paths = byHost.get(host)
    if (!paths) byHost.set(host, (paths = new Map()))
    if (!paths.has(prefix)) paths.set(prefix, value)
  }

  const exact = new Map<string, Paths<R>>()
  const wildcards = new Map<number, Slot<Paths<R>>>()
  let shortest = Infinity
  let any: Paths<R> | undefined
  for (const [host, texts] of byHost) {
    const paths = buildPaths(texts)
    if (host === '') any = paths
    else if (host.startsWith('*.')) {
      const text = host.slice(1)
      const hash = hashBackward(text)
      wildcards.set(hash, { text, value: paths, next: wildcards.get(hash) })
      shortest = Math.min(shortest, text.length)
    } else exact.set(host, paths)
  }

  /** Walks from the last label to the first, so the longest is met last: deeper ones are asked before this one. */
  const findBelow = (host: string, path: string, from: number, start: number): { readonly value: R } | undefined => {
    let hash = start
    for (let i = from; i > 0; i--) {
      const code = host.charCodeAt(i)
      hash = Math.imul(hash ^ code, HASH_PRIME)
      if (code !== DOT || host.length - i < shortest) continue
      for (let slot = wildcards.get(hash); slot !== undefined; slot = slot.next)
        if (slot.text.length === host.length - i && host.endsWith(slot.text))
          return findBelow(host, path, i - 1, hash) ?? findPath(slot.value, path)
    }
    return undefined
  }

  return (host, path) => {
    const own = exact.get(host)
    let found = own && findPath(own, path)
    if (!found && wildcards.size > 0) found = findBelow(host, path, host.length - 1, HASH_START)
    if (!found && any) found = findPath(any, path)
    return found?.value
  }
}
