/** What several paths of the API read alike: names in a path, objects and reasons in a body; and what they say of a name that is none. Pure. */
import { nearest } from '../config/nearest.ts'

/** A part of a path, decoded; undefined: it is not encoded as it should be. */
export function decodedPart(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

/** A JSON object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A reason that can stand in a log: text of at most so many characters, on one line. */
export function isReason(value: unknown, charsMax: number): value is string {
  return typeof value === 'string' && value.length <= charsMax && !/\p{Cc}|\p{Cs}|[\u2028\u2029]/u.test(value)
}

/** Of a service that no route leads to: a sentence that may go on with `also`, and the name that was probably meant. */
export function unknownService(name: string, known: Iterable<string>, also = ''): string {
  const near = nearest(name, known)
  return `No route leads to a service of this name${also}.${near === undefined ? '' : ` Did you mean ${near}?`}`
}
