/** What the API shows of how a service's requests are shared among its versions, and who says so. Plain values for JSON. Pure. */
import type { WeightsLayer } from '../policy/policy.ts'
import { stickyText } from '../table/show-rule.ts'
import type { ServiceTable } from '../table/table.ts'

/** Where weights by version come from. */
export interface WeightsView {
  /**
   * `kv:fairlead/services/web`, `config:services.web`, `config-entries/service-splitter/web`, `config:defaults`; `tags`: parts
   * that tags ask for their instances; `instances`: their weights in the catalog, the default.
   */
  readonly origin: string
  /** Of a document in the KV; null: it is none. */
  readonly by: string | null
  readonly revision: number | null
  /** What says weights as well and is hidden, the strongest first. */
  readonly over: readonly string[]
}

export interface SteeringView {
  readonly weights: WeightsView
  /** How many rules of the service come before its weights. */
  readonly rules: number
  /** What clients are tied to a version by, such as `cookie fairlead`; null: nothing. */
  readonly sticky: string | null
  /** Where requests go whose version is down: to the others, or nowhere. */
  readonly fallback: 'others' | 'none'
}

/** `layers` as `weightsLayers` gives them. */
export function steeringView({ policy, groups }: ServiceTable, layers: readonly WeightsLayer[]): SteeringView {
  const { rules, sticky, fallback } = policy
  return {
    weights: weightsView(groups, layers),
    rules: rules.length,
    sticky: sticky ? stickyText(sticky) : null,
    fallback,
  }
}

function weightsView(groups: ServiceTable['groups'], [top, ...others]: readonly WeightsLayer[]): WeightsView {
  if (!top) {
    const byTag = groups.some(({ endpoints }) => endpoints.some((endpoint) => endpoint.byTag))
    return { origin: byTag ? 'tags' : 'instances', by: null, revision: null, over: [] }
  }
  const { by = null, revision = null } = top.written ?? {}
  return { origin: top.origin, by, revision, over: others.map(({ origin }) => origin) }
}
