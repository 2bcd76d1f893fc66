/**
 * The switches that instrumented code asks: which check is taken out just now, and which checks a case has reached.
 * One process holds all mutants at once; turning a switch costs nothing, starting a process would.
 */

import { writeFileSync } from 'node:fs'

export const switches: {
  /** The mutant that is in force; -1: none. */
  active: number
  /** Mutants that would have made a difference since this was last emptied; undefined: nobody asks. */
  reached: Set<number> | undefined
} = { active: Number(process.env['MUTANT'] ?? -1), reached: undefined }

/** A process of its own, such as the one that measures back-pressure, leaves here what it has reached. */
const leaveAt = process.env['MUTANTS_REACHED']
if (leaveAt !== undefined) {
  const reached = new Set<number>()
  switches.reached = reached
  process.on('exit', () => writeFileSync(leaveAt, JSON.stringify([...reached])))
}

/** A condition that the mutant takes for false. */
export function never(id: number, value: unknown): unknown {
  if (value) switches.reached?.add(id)
  return switches.active === id ? false : value
}

/** A condition that the mutant takes for true. */
export function always(id: number, value: unknown): unknown {
  if (!value) switches.reached?.add(id)
  return switches.active === id ? true : value
}

/** A weakened expression may take for ever over a longer text: it is taken to make a difference there. */
const comparedMax = 4_096

/** An expression that the mutant replaces by another. */
class SwitchedRegExp extends RegExp {
  readonly #id: number
  readonly #plain: RegExp
  readonly #other: RegExp

  constructor(id: number, plain: RegExp, other: RegExp) {
    super(plain.source, plain.flags)
    this.#id = id
    this.#plain = plain
    this.#other = other
  }

  /** Otherwise split would make itself a copy by calling our constructor. */
  override [Symbol.split](text: string, limit?: number): string[] {
    if (switches.active === this.#id) return this.#other[Symbol.split](text, limit)
    const plain = this.#plain[Symbol.split](text, limit)
    this.#compare(text, () => this.#other[Symbol.split](text, limit).join('\0') !== plain.join('\0'))
    return plain
  }

  override exec(text: string): RegExpExecArray | null {
    const start = this.lastIndex
    const used = switches.active === this.#id ? this.#other : this.#plain
    used.lastIndex = start
    const found = used.exec(text)
    this.lastIndex = used.lastIndex
    this.#compare(text, () => {
      this.#other.lastIndex = start
      return this.#other.exec(text)?.join('\0') !== found?.join('\0')
    })
    return found
  }

  #compare(text: string, differs: () => boolean): void {
    const { reached } = switches
    if (!reached || reached.has(this.#id)) return
    if (text.length > comparedMax || differs()) reached.add(this.#id)
  }
}

export function pattern(id: number, plain: RegExp, other: RegExp): RegExp {
  return new SwitchedRegExp(id, plain, other)
}
