/**
 * The last good form of each document of one source, through restarts: what a document said before it became bad stays in
 * force, also for a proxy that starts after that. It is saved beside what the source knows, and reads no document.
 */
import type { Milliseconds } from '../core/clock.ts'
import type { Problem } from '../core/problem.ts'
import type { DocumentKnowledge, PolicyDocument } from '../policy/documents/documents.ts'

type Documents = ReadonlyMap<string, PolicyDocument>

/** Problems of documents that are not used as they are now. */
const unused: ReadonlySet<string> = new Set(['bad-policy-document', 'bad-config-entry'])

export class LastGood {
  readonly #source: string
  /** Of each document that is there; good ones are their own. */
  #good = new Map<string, PolicyDocument>()
  /** Keys of those that are bad now. */
  #bad: readonly string[] = []

  /** `source`: the name of the source whose documents they are. */
  constructor(source: string) {
    this.#source = source
  }

  /** All that was good when it was last saved, by key. */
  recall(saved: ReadonlyMap<string, DocumentKnowledge> | undefined): Documents {
    this.#good = new Map([...this.#of(saved, this.#source), ...this.#of(saved, this.#savedAs)])
    return this.#good
  }

  /** These are there now, and these are the problems of reading them. */
  note(documents: Documents, problems: readonly Problem[]): void {
    const places = new Set(problems.filter(({ code }) => unused.has(code)).map(({ where }) => where))
    const before = this.#good
    this.#bad = [...documents.keys()].filter((key) => places.has(`${this.#source}/${key}`))
    this.#good = new Map(documents)
    for (const key of this.#bad) {
      const last = before.get(key)
      if (last) this.#good.set(key, last)
      else this.#good.delete(key)
    }
  }

  /** What is to be saved beside the source's own knowledge, which is of `asOfMs`; none where nothing is bad. */
  knowledge(asOfMs: Milliseconds): readonly DocumentKnowledge[] {
    const documents = new Map<string, PolicyDocument>()
    for (const key of this.#bad) {
      const last = this.#good.get(key)
      if (last) documents.set(key, last)
    }
    return documents.size > 0 ? [{ source: this.#savedAs, documents, asOfMs }] : []
  }

  get #savedAs(): string {
    return `last good of ${this.#source}`
  }

  #of(saved: ReadonlyMap<string, DocumentKnowledge> | undefined, name: string): Documents {
    return saved?.get(name)?.documents ?? new Map<string, PolicyDocument>()
  }
}
