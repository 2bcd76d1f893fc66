/**
 * Reads as much of a probe's answer as is asked: its status, and one header where an identity is wanted. Far laxer than
 * the data path's parser: any HTTP/1 answer is a sign of life. Pure.
 */

/** Longest head of an answer that is looked through, bytes. */
export const answerBytesMax = 16_384

export interface ProbeAnswer {
  readonly status: number
  /** The value of the header asked for, trimmed; '' without. */
  readonly identity: string
}

const statusLine = /^HTTP\/1\.\d (\d{3})(?: [^\r\n]*)?\r?\n/
/** As many bytes as tell HTTP from anything else. */
const prefix = 'HTTP/1.'

/** The first field called `name` (lower-case) in `head`; '' without. */
function fieldValue(head: string, name: string): string {
  for (const line of head.split('\n')) {
    const colon = line.indexOf(':')
    if (colon > 0 && line.slice(0, colon).toLowerCase() === name) return line.slice(colon + 1).trim()
  }
  return ''
}

/**
 * What `text` (latin1, all that came so far) says: an answer, that it is no HTTP, or that more is needed. `identity`: the
 * lower-case header to look for, '' for none; then the status line alone is enough. Interim answers (1xx) are passed over.
 */
export function readAnswer(text: string, identity: string): ProbeAnswer | 'more' | 'invalid' {
  let rest = text
  for (;;) {
    const seen = rest.slice(0, prefix.length)
    if (!prefix.startsWith(seen)) return 'invalid'
    const match = statusLine.exec(rest)
    if (!match) return rest.includes('\n') || text.length > answerBytesMax ? 'invalid' : 'more'
    const status = Number(match[1])
    const interim = status >= 100 && status < 200 && status !== 101
    if (!interim && identity === '') return { status, identity: '' }
    const end = /\r?\n\r?\n/.exec(rest)
    if (!end) return text.length > answerBytesMax ? 'invalid' : 'more'
    if (!interim) return { status, identity: fieldValue(rest.slice(match[0].length, end.index), identity) }
    rest = rest.slice(end.index + end[0].length)
  }
}
