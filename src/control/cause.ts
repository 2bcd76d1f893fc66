/**
 * Why a table was built anew: a small union, to be extended by whoever asks for a build, and a sentence for each member.
 * Several may lie behind one table, since what comes close together is built together. Pure.
 */
import { isoTime } from '../core/clock.ts'
import { counted } from '../core/counted.ts'
import type { ServiceSnapshot, Snapshot } from '../catalog/snapshot.ts'

export type Cause =
  /** The routes as they stand before any of these catalog sources was heard. */
  | { readonly kind: 'start'; readonly sources: readonly string[] }
  /** A catalog source said something else of these services; of so many `more`, too, and of nothing else. */
  | {
      readonly kind: 'catalog'
      readonly source: string
      readonly services: readonly string[]
      readonly more: number
      /** The latest of the catalog's own indexes behind it (Consul's X-Consul-Index); absent: it has none. */
      readonly index?: string
    }
  /** A saved snapshot stands in for a source, as it was at that time (wall clock, ms). */
  | { readonly kind: 'saved'; readonly source: string; readonly asOfMs: number }
  /** What the brake held of a source's instances, or no longer. */
  | { readonly kind: 'brake'; readonly source: string }
  /** The configuration was read again, or the certificates it names; its listeners were opened, whose ports no instance may have; its new sources lead. */
  | { readonly kind: 'config'; readonly what: 'file' | 'listeners' | 'catalog' | 'certificates' }
  /** A document of policy changed, or is gone. */
  | {
      readonly kind: 'policy'
      /** Where it lies, such as `kv:fairlead`. */
      readonly source: string
      /** Relative to the source, such as `services/web`. */
      readonly key: string
      /** It is gone; revision and author are those of what it said last. */
      readonly removed?: true
      /** Consul's ModifyIndex. */
      readonly index?: string
      /** The document's own; absent where it has none. */
      readonly revision?: number
      /** Who wrote it, by the name of their token; absent: it does not say. */
      readonly by?: string
      /** Why, in their words. */
      readonly reason?: string
      /** With which command; absent: with none of ours. */
      readonly command?: string
    }
  /** Others that came with it and are not listed. */
  | { readonly kind: 'more'; readonly count: number }

/** Causes that one table lists; more are counted. */
export const causesMax = 20
/** Services that one cause names; more are counted. */
export const servicesMax = 20

const configTexts = {
  file: 'the configuration was read again',
  listeners: 'the listeners are open and their ports known',
  catalog: 'the new catalog sources took over',
  certificates: 'certificates for TLS to instances changed',
} as const

/** The cause as a clause, such as `catalog consul: service shop (index 1234)`. */
export function describeCause(cause: Cause): string {
  switch (cause.kind) {
    case 'start':
      return cause.sources.length === 0
        ? 'start, without a catalog'
        : `start: catalog ${cause.sources.join(', ')}, not heard yet`
    case 'catalog':
      return `catalog ${cause.source}: ${servicesText(cause)}${indexText(cause.index)}`
    case 'saved':
      return `catalog ${cause.source} is away; what was saved at ${isoTime(cause.asOfMs)} stands in for it`
    case 'brake':
      return `catalog ${cause.source}: what was held after a sudden removal is looked at anew`
    case 'config':
      return configTexts[cause.what]
    case 'policy':
      return policyText(cause)
    case 'more':
      return `and ${counted(cause.count, 'more cause')}`
  }
}

function servicesText({ services, more }: Extract<Cause, { kind: 'catalog' }>): string {
  if (services.length === 0) return 'no service'
  const rest = more === 0 ? '' : ` and ${more} more`
  return `${services.length + more === 1 ? 'service' : 'services'} ${services.join(', ')}${rest}`
}

function policyText(cause: Extract<Cause, { kind: 'policy' }>): string {
  const { source, key, removed, index, revision, by, reason, command } = cause
  const parts = [
    revision === undefined ? undefined : `revision ${revision}`,
    by === undefined ? undefined : `by ${by}`,
    command === undefined ? undefined : `with ${command}`,
  ].filter((part) => part !== undefined)
  const said = parts.length === 0 ? '' : `, ${removed ? 'which was last ' : ''}${parts.join(' ')}`
  const written = removed ? ` was removed${said}` : said
  return `policy ${source} ${key}${written}${indexText(index)}${reason === undefined || reason === '' ? '' : `: ${reason}`}`
}

const indexText = (index: string | undefined): string => (index === undefined ? '' : ` (index ${index})`)

/** What a source said of which services, against what it said before. */
export function catalogCause(source: string, before: Snapshot | undefined, after: Snapshot): Cause {
  const names: string[] = []
  const known: ReadonlyMap<string, ServiceSnapshot> = before?.services ?? new Map<string, ServiceSnapshot>()
  for (const [name, service] of after.services) if (known.get(name) !== service) names.push(name)
  for (const name of known.keys()) if (!after.services.has(name)) names.push(name)
  return {
    kind: 'catalog',
    source,
    services: names.slice(0, servicesMax),
    more: Math.max(0, names.length - servicesMax),
    ...(after.index === undefined ? {} : { index: after.index }),
  }
}

/** The causes of the next table: a source's words of one catalog make one cause, a repeated one is no other. */
export class Causes {
  #list: Cause[] = []
  #more = 0

  add(cause: Cause): void {
    const at = this.#list.findIndex((known) => isSame(known, cause))
    const known = this.#list[at]
    if (known) this.#list[at] = joined(known, cause)
    else if (this.#list.length < causesMax) this.#list.push(cause)
    else this.#more++
  }

  /** All of them; there are none afterwards. */
  take(): readonly Cause[] {
    const list = this.#list
    if (this.#more > 0) list.push({ kind: 'more', count: this.#more })
    this.#list = []
    this.#more = 0
    return list
  }
}

function isSame(a: Cause, b: Cause): boolean {
  if (a.kind !== b.kind) return false
  if (a.kind === 'config') return b.kind === 'config' && a.what === b.what
  if (a.kind === 'policy') return b.kind === 'policy' && a.source === b.source && a.key === b.key
  return !('source' in a && 'source' in b) || a.source === b.source
}

/** Of two that are about the same the later holds; of catalogs both. */
function joined(before: Cause, after: Cause): Cause {
  if (before.kind !== 'catalog' || after.kind !== 'catalog') return after
  const names = [...new Set([...before.services, ...after.services])]
  return {
    ...before,
    ...after,
    services: names.slice(0, servicesMax),
    more: Math.max(before.more, after.more) + Math.max(0, names.length - servicesMax),
  }
}
