/**
 * Go's way of writing a length of time (`1m30s`, `60000ms`), which every Consul client uses. Source: Go's time package.
 */

const UNITS_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  '\u00b5s': 1e-3,
  '\u03bcs': 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

/** In milliseconds; undefined if it is not one. `0` needs no unit. */
export function parseGoDuration(text: string): number | undefined {
  const match = /^([+-]?)(.*)$/s.exec(text)
  const rest = match?.[2] ?? ''
  if (rest === '0') return 0
  if (!/^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+$/.test(rest)) return undefined
  let total = 0
  for (const [, amount, unit] of rest.matchAll(/([\d.]+)([^\d.]+)/g))
    total += Number(amount) * (UNITS_MS[unit ?? ''] ?? 0)
  return match?.[1] === '-' ? -total : total
}
