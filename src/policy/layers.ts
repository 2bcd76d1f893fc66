/**
 * Lays what the KV says over what the configuration file says, and that over Consul's config entries, setting by setting: a service's versions may come from one
 * and its timeouts from the other. Routes of the KV come before those of the file. Pure.
 */
import type { Config, RouteConfig, ServiceSettings } from '../config/config.ts'
import { parseRouteSettings, parseServiceSettings } from '../config/parse-settings.ts'
import type { Problem } from '../core/problem.ts'
import type { AddressCheck } from './addresses.ts'
import type { EntrySettings } from './consul-entries/settings.ts'
import { type DrainDocument, parseDrain } from './kv/drain-document.ts'
import { layerOf, policyFromConfig, routePolicy, servicePolicy } from './from-config.ts'
import type { DecodedDocuments, ParseSettings } from './kv/decode-documents.ts'
import { type Policy, policyOf, type ServicePolicy } from './policy.ts'
import { overriddenProblem, sharingLayers } from './weights.ts'

/** What a document holds. */
export type DocumentSettings =
  | { readonly of: 'services'; readonly settings: ServiceSettings }
  | { readonly of: 'routes'; readonly settings: RouteConfig }
  | { readonly of: 'drains'; readonly settings: DrainDocument }

/** For `decodeDocuments`. */
export const parseDocument: ParseSettings<DocumentSettings> = (json, kind) => {
  if (kind === 'services') {
    const parsed = parseServiceSettings(json)
    return parsed.kind === 'good' ? { kind: 'good', settings: { of: kind, settings: parsed.settings } } : parsed
  }
  if (kind === 'routes') {
    const parsed = parseRouteSettings(json)
    return parsed.kind === 'good' ? { kind: 'good', settings: { of: kind, settings: parsed.settings } } : parsed
  }
  const parsed = parseDrain(json)
  return parsed.kind === 'good' ? { kind: 'good', settings: { of: kind, settings: parsed.drain } } : parsed
}

/** What is kept elsewhere than in the configuration; undefined: nothing, or it is not known (yet). */
export interface OutsidePolicy {
  /** Where the documents are, such as `kv:fairlead`. */
  readonly source: string
  readonly documents: DecodedDocuments<DocumentSettings> | undefined
  readonly entries: EntrySettings | undefined
}

/**
 * The policy of `config` and of the documents in force, where they are known; `origin` of a route that a document makes is
 * its key (`kv:fairlead/routes/shop`), as is where a service's settings come from ({@link Policy.origins}).
 */
export function layeredPolicy(
  config: Config,
  check: AddressCheck,
  { source, documents, entries }: OutsidePolicy,
): Policy {
  const base = policyFromConfig(config, check, entries)
  if (documents === undefined) return base
  const services = new Map(base.services)
  const origins = new Map(base.origins)
  const weights = new Map(base.weights)
  const overridden: Problem[] = []
  const routes = []
  for (const [key, { name, envelope }] of documents.documents) {
    const origin = `${source}/${key}`
    const { of, settings } = envelope.settings
    if (of === 'services') {
      services.set(name, servicePolicy(settings, services.get(name) ?? base.defaults))
      origins.set(name, [origin, ...(origins.get(name) ?? [])])
      const { by, revision } = envelope
      const said = layerOf(origin, settings, { by, revision })
      if (said.length === 0) continue
      weights.set(name, [...said, ...(weights.get(name) ?? [])])
      const problem = overriddenProblem(name, sharingLayers({ weights, defaults: base.defaults }, name))
      if (problem) overridden.push(problem)
    } else if (of === 'routes') routes.push(routePolicy(settings, origin))
  }
  return Object.freeze({
    ...base,
    routes: routes.length === 0 ? base.routes : Object.freeze([...routes, ...base.routes]),
    services,
    origins,
    weights,
    problems: Object.freeze([...base.problems, ...documents.problems, ...overridden]),
  })
}

/** What a service has where no document says anything of it. */
export function policyBeneath(config: Config, { entries }: OutsidePolicy, service: string): ServicePolicy {
  return policyOf(policyFromConfig(config, undefined, entries), service)
}
