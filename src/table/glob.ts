/** Globs without backtracking: `*` is any run of characters, all else is itself. A match costs the text's length. Pure. */

/** What stands between two `*`. */
interface Part {
  readonly part: string
  readonly next: readonly number[]
}

/** Matches whole texts, or what stands between two places of one. */
export class Glob {
  /** What a text begins with, and what it ends with; '' where that is open. */
  readonly first: string
  readonly last: string
  /** No shorter text matches. */
  readonly least: number
  readonly #isPlain: boolean
  readonly #middle: readonly Part[]

  constructor(pattern: string) {
    const [first = '', ...rest] = pattern.split('*')
    const last = rest.pop()
    this.first = first
    this.last = last ?? ''
    this.#isPlain = last === undefined
    this.#middle = rest.filter((part) => part !== '').map((part) => ({ part, next: failures(part) }))
    this.least = pattern.replaceAll('*', '').length
  }

  matches(text: string, from = 0, end: number = text.length): boolean {
    const { first, last } = this
    if (end - from < this.least || (first !== '' && !text.startsWith(first, from))) return false
    if (this.#isPlain) return end - from === first.length
    const stop = end - last.length
    if (last !== '' && !text.startsWith(last, stop)) return false
    let at = from + first.length
    for (const { part, next } of this.#middle) {
      at = findEnd(text, part, next, at, stop)
      if (at < 0) return false
    }
    return true
  }
}

/** For each place in `part`, the longest beginning of it that ends there (Knuth, Morris, Pratt, 1977). */
function failures(part: string): readonly number[] {
  const next = [0]
  let length = 0
  for (let i = 1; i < part.length; i++) {
    while (length > 0 && part[i] !== part[length]) length = next[length - 1] ?? 0
    if (part[i] === part[length]) length++
    next.push(length)
  }
  return next
}

/** Behind the first `part` in `text` between `from` and `end`; -1: there is none. */
function findEnd(text: string, part: string, next: readonly number[], from: number, end: number): number {
  const first = part.charAt(0)
  let length = 0
  for (let i = from; i < end; i++) {
    if (length === 0) {
      // Where nothing has matched, the next place is where its first character stands.
      i = text.indexOf(first, i)
      if (i < 0 || i >= end) return -1
    }
    const code = text.charCodeAt(i)
    while (length > 0 && code !== part.charCodeAt(length)) length = next[length - 1] ?? 0
    if (code === part.charCodeAt(length)) length++
    if (length === part.length) return i + 1
  }
  return -1
}

/** Matches whole texts against `pattern`. */
export function compileGlob(pattern: string): (text: string) => boolean {
  const glob = new Glob(pattern)
  return (text) => glob.matches(text)
}
