/**
 * Durations, sizes and shares as people write them, and back. Inside, durations are milliseconds, sizes bytes and
 * shares a fraction; only text that comes from or goes to a person carries a unit. Pure.
 */

const durationUnits: readonly (readonly [string, number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
]

const sizeUnits: readonly (readonly [string, number])[] = [
  ['TiB', 2 ** 40],
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
  ['TB', 1e12],
  ['GB', 1e9],
  ['MB', 1e6],
  ['kB', 1e3],
  ['KB', 1e3],
  ['B', 1],
]

const durationText = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/
const durationPart = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/g
const sizeText = /^(\d+(?:\.\d+)?)(B|[kKMGT]B|[KMGT]iB)$/
const shareText = /^(\d+(?:\.\d+)?)%$/

/**
 * `500ms`, `2s`, `1.5h`, `1m30s`, or a bare `0`, in whole milliseconds (rounded). Undefined when it is none of these:
 * a number without a unit is refused, since nobody knows which was meant.
 */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0
  if (!durationText.test(text)) return undefined
  let ms = 0
  for (const [, amount, unit] of text.matchAll(durationPart)) ms += Number(amount) * factor(durationUnits, unit)
  return safe(Math.round(ms))
}

/** The shortest exact form that {@link parseDuration} reads back to the same number: `90000` is `1m30s`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s'
  let rest = ms
  let text = ''
  for (const [unit, size] of durationUnits) {
    const count = Math.floor(rest / size)
    if (count > 0) text += `${String(count)}${unit}`
    rest -= count * size
  }
  return text
}

/** `64KiB`, `1.5MiB`, `10MB`, `512B`, or a bare `0`, in whole bytes (rounded). Undefined when it is none of these. */
export function parseSize(text: string): number | undefined {
  if (text === '0') return 0
  const match = sizeText.exec(text)
  return match ? safe(Math.round(Number(match[1]) * factor(sizeUnits, match[2]))) : undefined
}

/** The largest unit that leaves a whole number: `65536` is `64KiB`, `1000` is `1kB`. Read back to the same number. */
export function formatSize(bytes: number): string {
  if (bytes === 0) return '0B'
  for (const [unit, size] of sizeUnits) if (bytes % size === 0) return `${String(bytes / size)}${unit}`
  return `${String(bytes)}B`
}

/** `20%` is 0.2. Undefined when it is no percentage of 0 to 100. */
export function parseShare(text: string): number | undefined {
  const match = shareText.exec(text)
  const percent = match ? Number(match[1]) : Infinity
  return percent <= 100 ? percent / 100 : undefined
}

/** 0.2 is `20%`. */
export function formatShare(share: number): string {
  return `${String(Number((share * 100).toPrecision(12)))}%`
}

function factor(units: readonly (readonly [string, number])[], unit: string | undefined): number {
  return units.find(([name]) => name === unit)?.[1] ?? Number.NaN
}

/** Beyond 2^53 a sum would no longer be what was written. */
function safe(value: number): number | undefined {
  return Number.isSafeInteger(value) ? value : undefined
}
