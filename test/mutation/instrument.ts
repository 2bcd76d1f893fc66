/**
 * Puts a switch at every check of a source file: at each condition of an `if`, at each boolean that is returned or assigned
 * and each choice between two values (where they stand on one line), at each of their parts, and at each regular expression.
 * Line numbers stay as they are.
 */
import { choice, isComposite, isPatternStart, matching, operands, skip } from './scan.ts'

export interface Mutant {
  readonly id: number
  readonly file: string
  readonly line: number
  readonly what: string
}

const imported = `import { never as __n, always as __a, pattern as __p } from 'SWITCH'; `

class Instrumenter {
  readonly mutants: Mutant[] = []
  readonly #file: string
  readonly #text: string
  #next: number

  constructor(file: string, text: string, firstId: number) {
    this.#file = file
    this.#text = text
    this.#next = firstId
  }

  #mutant(at: number, what: string): number {
    const line = this.#text.slice(0, at).split('\n').length
    this.mutants.push({ id: this.#next, file: this.#file, line, what: what.replaceAll(/\s+/g, ' ').trim() })
    return this.#next++
  }

  /** The condition with a switch around itself or around each of its parts. */
  #condition(at: number, text: string): string {
    if (isComposite(text)) return `__n(${this.#mutant(at, `not (${text})`)}, ${this.patterns(at, text)})`
    const either = operands(text, '||')
    if (either.length > 1) return either.map((part) => this.#condition(at, part)).join(' || ')
    const whole = this.#mutant(at, `not (${text})`)
    const both = operands(text, '&&')
    if (both.length === 1) return `__n(${whole}, ${this.patterns(at, text)})`
    const parts = both.map(
      (part) => `__a(${this.#mutant(at, `without "${part}" in (${text})`)}, ${this.patterns(at, part)})`,
    )
    return `__n(${whole}, ${parts.join(' && ')})`
  }

  /** A value with a switch at what it depends on; undefined: it is none that stands on one line and depends on checks. */
  #value(at: number, value: string): string | undefined {
    if (isBoolean(value)) return this.#condition(at, value)
    const asked = chosenBy(value)
    if (asked === undefined) return undefined
    return `${this.#condition(at, asked)} ${this.patterns(at + asked.length, value.slice(asked.length))}`
  }

  /** The text with a switch at every regular expression in it. */
  patterns(at: number, text: string): string {
    let out = ''
    let i = 0
    while (i < text.length) {
      const after = skip(text, i)
      if (after === i) {
        out += text.charAt(i++)
        continue
      }
      const literal = text.slice(i, after)
      const isPattern = literal.startsWith('/') && !/^\/[/*]/.test(literal) && isPatternStart(text, i)
      out += isPattern ? this.#pattern(at + i, literal) : literal
      i = after
    }
    return out
  }

  #pattern(at: number, literal: string): string {
    let out = literal
    for (const other of weakened(literal)) out = `__p(${this.#mutant(at, `${literal} as ${other}`)}, ${out}, ${other})`
    return out
  }

  run(): string {
    const text = this.#text
    let out = ''
    let i = 0
    while (i < text.length) {
      const after = skip(text, i)
      const rest = text.slice(i, i + 12)
      if (after > i) {
        const literal = text.slice(i, after)
        out += /^\/[^/*]/.test(literal) ? this.#pattern(i, literal) : literal
        i = after
      } else if (rest.startsWith('if (') && !/\w$/.test(out)) {
        const end = matching(text, i + 3)
        out += `if (${this.#condition(i, text.slice(i + 4, end))})`
        i = end + 1
      } else if ((rest.startsWith('return ') && !/\w$/.test(out)) || (rest.startsWith('= ') && out.endsWith(' '))) {
        const from = text.indexOf(' ', i) + 1
        const end = text.indexOf('\n', i)
        out += text.slice(i, from)
        const checked = this.#value(from, text.slice(from, end))
        out += checked ?? ''
        i = checked === undefined ? from : end
      } else {
        out += text.charAt(i++)
      }
    }
    return out
  }
}

/** What an expression on one line asks to choose between two values; undefined: it asks nothing, or not that alone. */
function chosenBy(value: string): string | undefined {
  try {
    const at = choice(value)
    const asked = value.slice(0, Math.max(0, at))
    return at < 0 || /[({[,]$/.test(value) || isComposite(asked) ? undefined : asked
  } catch {
    return undefined
  }
}

/** An expression on one line that is made of conditions. */
function isBoolean(value: string): boolean {
  try {
    if (/[({[]$/.test(value) || isComposite(value)) return false
    return operands(value, '||').length > 1 || operands(value, '&&').length > 1
  } catch {
    return false
  }
}

/** Forms of an expression that let more through: without an anchor, or with a class that takes everything. */
function weakened(literal: string): string[] {
  const others: string[] = []
  if (literal.startsWith('/^')) others.push(literal.replace(/^\/\^/, '/'))
  if (/\$\/[a-z]*$/.test(literal)) others.push(literal.replace(/\$(\/[a-z]*)$/, '$1'))
  for (const found of literal.matchAll(/\[(?:\\.|[^\]\\])+\]/g))
    others.push(`${literal.slice(0, found.index)}[^]${literal.slice(found.index + found[0].length)}`)
  return others.filter((other) => other !== '//' && other !== literal)
}

export interface Instrumented {
  readonly text: string
  readonly mutants: readonly Mutant[]
}

/** `switchPath` is what the file imports its switches from. */
export function instrument(file: string, text: string, firstId: number, switchPath: string): Instrumented {
  const instrumenter = new Instrumenter(file, text, firstId)
  const body = instrumenter.run()
  return { text: imported.replace('SWITCH', switchPath) + body, mutants: instrumenter.mutants }
}
