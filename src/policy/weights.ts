/**
 * Where a service's weights by version come from: every place that says some, the strongest first, since the strongest is
 * taken whole and hides the others. It reads no document and weighs nothing. Pure.
 */
import type { Problem } from '../core/problem.ts'
import { sameData } from '../core/same.ts'
import { sameShares } from '../table/shares.ts'
import type { Policy, WeightsLayer } from './policy.ts'

type Layered = Pick<Policy, 'weights' | 'defaults'>

/** All that say how the requests of a service are shared, the strongest first. */
export function sharingLayers({ weights, defaults }: Layered, service: string): readonly WeightsLayer[] {
  const own = weights.get(service) ?? []
  const { versions, split, failover } = defaults
  const some = versions !== undefined || split !== undefined || failover.length > 0
  return some ? [...own, { origin: 'config:defaults', versions, split, failover }] : own
}

/**
 * Of a service by name, the strongest first: who says its weights by version, then whose weights and splits that hides. Empty:
 * nobody says any, and each version weighs as its instances do.
 */
export function weightsLayers(policy: Layered, service: string): readonly WeightsLayer[] {
  const layers = sharingLayers(policy, service)
  const top = layers.findIndex(({ versions }) => versions)
  return top < 0 ? [] : layers.slice(top).filter(({ versions, split }) => versions ?? split)
}

/** Who says what `key` of a service is; undefined: nobody. */
export function sayerOf(policy: Layered, service: string, key: 'split' | 'failover'): string | undefined {
  return sharingLayers(policy, service).find((layer) => layer[key])?.origin
}

/** Such as `kv:fairlead/services/web (revision 3 by alice)`. */
export function layerText({ origin, written }: Pick<WeightsLayer, 'origin' | 'written'>): string {
  return written ? `${origin} (revision ${String(written.revision)} by ${written.by})` : origin
}

/** A document hides weights or a split that say otherwise; undefined: it is in force alone, or they agree. */
export function overriddenProblem(service: string, layers: readonly WeightsLayer[]): Problem | undefined {
  const [top, ...others] = layers
  if (!top?.written || (!top.versions && !top.split)) return undefined
  const { versions, split } = top
  const hidden = others.flatMap((other): readonly string[] => {
    const what = [
      ...(other.versions && versions && !sameShares(other.versions, versions) ? ['versions'] : []),
      // Weights are a word on the whole, and end it.
      ...(other.split && !sameData(other.split, split) ? ['split'] : []),
    ]
    return what.length === 0 ? [] : [`${what.join(' and ')} in ${other.origin}`]
  })
  if (hidden.length === 0) return undefined
  const weights = [...(versions ?? [])].map(([version, weight]) => `${version}=${String(weight)}`).join(' ')
  const own = split ? `a split of its own${weights === '' ? '' : ` and ${weights}`}` : weights
  return Object.freeze({
    code: 'versions-overridden',
    // Whoever has a split in the file and changes it by command does nothing wrong.
    notice: true,
    where: `service ${service}`,
    message:
      `its ${hidden.join(' and its ')} have no effect: ${layerText(top)} is in force, with ${own}. ` +
      `\`fairlead status\` and \`fairlead explain\` show it; \`fairlead rollback ${service} 0\` ends the document's word, or say the same there`,
  })
}
