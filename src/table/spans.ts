/**
 * Parts of a text (lines, pairs), found in one pass and then by the letter that they begin with, so that what is looked for
 * by name meets few that have another. Used again for each text: allocates nothing once it has grown. Pure.
 */

/** Letters fall into as many classes as an integer has bits, capitals together with small ones. */
const classes = 32

export class Spans {
  starts: Int32Array = new Int32Array(64)
  /** Behind the last character. */
  ends: Int32Array = new Int32Array(64)
  /** The next one that begins with a letter of the same class; -1: there is none. */
  next: Int32Array = new Int32Array(64)
  #count = 0
  /** A bit for each class that there is. */
  #there = 0
  readonly #first = new Int32Array(classes)
  readonly #last = new Int32Array(classes)

  clear(): void {
    this.#count = 0
    this.#there = 0
  }

  /** `letter`: the code of its first character. */
  add(start: number, end: number, letter: number): void {
    const at = this.#count++
    if (at === this.starts.length) this.#grow()
    const letterClass = letter & (classes - 1)
    this.starts[at] = start
    this.ends[at] = end
    this.next[at] = -1
    if ((this.#there >>> letterClass) & 1) this.next[this.#last[letterClass] ?? 0] = at
    else {
      this.#there |= 1 << letterClass
      this.#first[letterClass] = at
    }
    this.#last[letterClass] = at
  }

  /** The first that may begin with `letter`, whatever its case; -1: there is none. */
  first(letter: number): number {
    const letterClass = letter & (classes - 1)
    return (this.#there >>> letterClass) & 1 ? (this.#first[letterClass] ?? -1) : -1
  }

  #grow(): void {
    this.starts = larger(this.starts)
    this.ends = larger(this.ends)
    this.next = larger(this.next)
  }
}

function larger(array: Int32Array): Int32Array {
  const twice = new Int32Array(array.length * 2)
  twice.set(array)
  return twice
}
