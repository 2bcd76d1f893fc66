/**
 * Reads the query of a request to the API. Strict: what is misspelt, doubled or broken is refused with a sentence, since a
 * filter that is ignored shows more than was asked for. Pure.
 */

/** The parameters, each named in `names` and given at most once with a value; a sentence when it is not so. */
export function readQuery(query: string, names: readonly string[]): ReadonlyMap<string, string> | string {
  const values = new Map<string, string>()
  if (query === '') return values
  for (const part of query.split('&')) {
    const equals = part.indexOf('=')
    const name = decoded(equals === -1 ? part : part.slice(0, equals))
    if (name === undefined || !names.includes(name)) {
      return `There is no such parameter here; ${names.length === 1 ? 'the only one is' : 'there are'} ${names.join(', ')}.`
    }
    if (values.has(name)) return `The parameter ${name} is given twice.`
    const value = equals === -1 ? '' : decoded(part.slice(equals + 1))
    if (value === undefined) return `The parameter ${name} is not encoded as it should be.`
    if (value === '') return `The parameter ${name} has no value.`
    values.set(name, value)
  }
  return values
}

/** As forms write it, where a plus is a space. */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}
