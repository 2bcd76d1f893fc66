/**
 * Just enough of a reader of our own sources to find conditions and regular expressions: it knows strings, templates,
 * comments and brackets, and nothing of grammar. What it gets wrong does not parse and is reported, not run.
 */

/** Where the string, template, comment or regular expression that starts at `at` ends; `at` when none does. */
export function skip(text: string, at: number): number {
  const char = text.charAt(at)
  if (char === "'" || char === '"') return endOfString(text, at, char)
  if (char === '`') return endOfTemplate(text, at)
  if (char !== '/') return at
  const next = text.charAt(at + 1)
  if (next === '/') return endOr(text, text.indexOf('\n', at))
  if (next === '*') return endOr(text, text.indexOf('*/', at) + 2)
  return isPatternStart(text, at) ? endOfPattern(text, at) : at
}

function endOr(text: string, end: number): number {
  return end < 2 ? text.length : end
}

function endOfString(text: string, at: number, quote: string): number {
  let i = at + 1
  while (i < text.length && text.charAt(i) !== quote) i += text.charAt(i) === '\\' ? 2 : 1
  return i + 1
}

function endOfTemplate(text: string, at: number): number {
  let i = at + 1
  while (i < text.length && text.charAt(i) !== '`') {
    if (text.charAt(i) === '\\') i += 2
    else if (text.startsWith('${', i)) i = matching(text, i + 1) + 1
    else i++
  }
  return i + 1
}

/** Whether a slash here begins an expression rather than divides. */
export function isPatternStart(text: string, at: number): boolean {
  const before = text.slice(Math.max(0, at - 20), at).trimEnd()
  return before === '' || /[(,=:[!&|?{};]$|\breturn$/.test(before)
}

function endOfPattern(text: string, at: number): number {
  let i = at + 1
  let inClass = false
  while (i < text.length && (inClass || text.charAt(i) !== '/')) {
    const char = text.charAt(i)
    if (char === '\\') i++
    else if (char === '[') inClass = true
    else if (char === ']') inClass = false
    i++
  }
  i++
  while (/[a-z]/.test(text.charAt(i))) i++
  return i
}

/** The bracket that closes the one at `at`. */
export function matching(text: string, at: number): number {
  let depth = 0
  let i = at
  while (i < text.length) {
    const after = skip(text, i)
    if (after > i) {
      i = after
      continue
    }
    if ('([{'.includes(text.charAt(i))) depth++
    else if (')]}'.includes(text.charAt(i)) && --depth === 0) return i
    i++
  }
  throw new Error(`no bracket closes the one at ${at}`)
}

/** The parts between an operator that stands outside all brackets; one part when it does not occur. */
export function operands(text: string, operator: '||' | '&&'): string[] {
  const parts: string[] = []
  let from = 0
  let i = 0
  while (i < text.length) {
    const after = skip(text, i)
    if (after > i) i = after
    else if ('([{'.includes(text.charAt(i))) i = matching(text, i) + 1
    else if (text.startsWith(operator, i)) {
      parts.push(text.slice(from, i))
      i += 2
      from = i
    } else i++
  }
  return [...parts, text.slice(from)]
}

/** The places outside all brackets, texts and comments. */
function* outside(text: string): Generator<number, void> {
  let i = 0
  while (i < text.length) {
    const after = skip(text, i)
    if (after > i) i = after
    else if ('([{'.includes(text.charAt(i))) i = matching(text, i) + 1
    else yield i++
  }
}

/** Where the `?` of a choice stands outside all brackets; -1: there is none. */
export function choice(text: string): number {
  for (const at of outside(text)) if (text.startsWith(' ? ', at)) return at
  return -1
}

/** Whether a ternary, an arrow, an assignment or a comma stands outside all brackets: not ours to take apart. */
export function isComposite(text: string): boolean {
  for (const at of outside(text)) if (/^(\?(?![.?])|=>|\?\?|,)/.test(text.slice(at, at + 2))) return true
  return false
}
