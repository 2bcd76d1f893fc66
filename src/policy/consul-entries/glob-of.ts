/**
 * Regular expressions that are no more than globs: texts, escaped characters and `.*`. Others are not translated, since a
 * user's expression must not run on requests. Consul matches whole texts, so anchors at the ends say nothing. Pure.
 */

/** The glob that means the same; undefined: there is none. */
export function globOf(pattern: string): string | undefined {
  const text = pattern.replace(/^\^/, '').replace(/(?<!\\)\$$/, '')
  let glob = ''
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at)
    if (char === '.' && text[at + 1] === '*') {
      // `.*?` and `.*+` are other operators.
      if (/[?+*{]/.test(text.charAt(at + 2))) return undefined
      glob += '*'
      at++
    } else if (char === '\\') {
      const escaped = text.charAt(++at)
      if (!/^[^A-Za-z0-9*\s]$/.test(escaped)) return undefined
      if (/[?+*{]/.test(text.charAt(at + 1))) return undefined
      glob += escaped
    } else if (/[.[\](){}+?|^$*]/.test(char)) return undefined
    else glob += char
  }
  return glob
}
