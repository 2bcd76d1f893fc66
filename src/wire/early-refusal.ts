/** What of a request's head can be refused before it is complete, so that nobody waits for a timeout. Pure. */
import type { WireLimits } from './limits.ts'
import { Refusal, isToken } from './syntax.ts'

/**
 * Looks at a head that begins at `from` in `text` and is not complete; the first `before` characters were looked at
 * already. Undefined: it may become one.
 */
export function refuseEarly(text: string, from: number, before: number, limits: WireLimits): Refusal | undefined {
  const first = text.charAt(from)
  if (first !== '' && first !== '\r' && !isToken(first)) return new Refusal(400, 'method')
  if (from === 2 && first === '\r') return new Refusal(400, 'empty-lines')
  if (/[^\r]\n|\r[^\n]/.test(text.slice(Math.max(0, before - 1)))) return new Refusal(400, 'line-end')
  if (text.length - from > 32 && !text.slice(from, from + 33).includes(' ')) return new Refusal(400, 'method')
  const lineEnd = text.indexOf('\r\n', from)
  if (lineEnd < 0 && text.length - from > limits.targetBytes + 64) return new Refusal(414, 'target-length')
  if (text.length - from > limits.headBytes) return new Refusal(431, 'head-bytes')
  return undefined
}
