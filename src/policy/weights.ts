/**
 * Where a service's weights by version come from: every place that says some, the strongest first, since the strongest is
 * taken whole and hides the others. It reads no document and weighs nothing. Pure.
 */
import type { Problem } from '../core/problem.ts'
import { sameShares } from '../table/shares.ts'
import type { Policy, WeightsLayer } from './policy.ts'

/** Of a service by name, the strongest first; empty: nobody says any, and each version weighs as its instances do. */
export function weightsLayers({ weights, defaults }: Policy, service: string): readonly WeightsLayer[] {
  const own = weights.get(service) ?? []
  return defaults.versions ? [...own, { origin: 'config:defaults', versions: defaults.versions }] : own
}

/** Such as `kv:fairlead/services/web (revision 3 by alice)`. */
export function layerText({ origin, written }: Pick<WeightsLayer, 'origin' | 'written'>): string {
  return written ? `${origin} (revision ${String(written.revision)} by ${written.by})` : origin
}

/** A document hides weights that say otherwise; undefined: it is in force alone, or they agree. */
export function overriddenProblem(service: string, layers: readonly WeightsLayer[]): Problem | undefined {
  const [top, ...others] = layers
  if (!top?.written) return undefined
  const hidden = others.filter(({ versions }) => !sameShares(versions, top.versions)).map(({ origin }) => origin)
  if (hidden.length === 0) return undefined
  const weights = [...top.versions].map(([version, weight]) => `${version}=${String(weight)}`).join(' ')
  return Object.freeze({
    code: 'versions-overridden',
    // Whoever has a split in the file and changes it by command does nothing wrong.
    notice: true,
    where: `service ${service}`,
    message:
      `its versions in ${hidden.join(' and ')} have no effect: ${layerText(top)} is in force, with ${weights}. ` +
      `\`fairlead status\` and \`fairlead explain\` show it; \`fairlead rollback ${service} 0\` ends the document's word, or say the same there`,
  })
}
