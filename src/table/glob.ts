/** Globs without backtracking: `*` is any run of characters, all else is itself. A match costs the text's length. Pure. */

/** Matches whole texts against `pattern`. */
export function compileGlob(pattern: string): (text: string) => boolean {
  const [first = '', ...rest] = pattern.split('*')
  const last = rest.pop()
  if (last === undefined) return (text) => text === first
  const middle = rest.filter((part) => part !== '').map((part) => ({ part, next: failures(part) }))
  return (text) => {
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
    const end = text.length - last.length
    let at = first.length
    for (const { part, next } of middle) {
      at = findEnd(text, part, next, at, end)
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
    while (length > 0 && text[i] !== part[length]) length = next[length - 1] ?? 0
    if (text[i] === part[length]) length++
    if (length === part.length) return i + 1
  }
  return -1
}
