/** Checks that no rule can notice, each with the reason. Named by file and by what is done to them, not by line. */

export interface Accepted {
  readonly check: string
  readonly reason: string
}

export const accepted: readonly Accepted[] = [
  {
    check: 'src/proxy/path.ts not (PLAIN.test(target))',
    reason: 'A short way for plain paths; the long one gives the same.',
  },
  { check: "src/proxy/path.ts not (target === '*')", reason: 'The asterisk is its own normal form.' },
  {
    check: "src/wire/chunked.ts not (this.#extension.trimEnd() === '' )",
    reason: 'White space alone is no extension to the expression behind it either.',
  },
  {
    check: 'src/wire/client-connection.ts not (bytes - from > wholeReadBytes)',
    reason: 'Only how much of a read is decoded at once.',
  },
  { check: 'src/wire/client-connection.ts not (found >= 0)', reason: 'Only how much of a read is decoded at once.' },
  {
    check: 'src/wire/server-connection.ts not (stop > wholeReadBytes)',
    reason: 'Only how much of a read is decoded at once.',
  },
  { check: 'src/wire/server-connection.ts not (found >= 0)', reason: 'Only how much of a read is decoded at once.' },
  {
    check: "src/wire/request-head.ts not ( connection === 'keep-alive' )",
    reason: 'A short way for what nearly every client sends.',
  },
  {
    check: "src/wire/request-head.ts not ( connection === '')",
    reason: 'A short way; an empty list nominates nothing.',
  },
  {
    check: "src/wire/response-head.ts not ( connection === 'keep-alive')",
    reason: 'A short way for what many servers send.',
  },
  { check: 'src/wire/request-head.ts not (at > runStart)', reason: 'Saves the joining of an empty slice.' },
  {
    check: 'src/proxy/answer-head.ts not (answer.status === 200)',
    reason: 'A short way for the commonest status line.',
  },
  {
    check: 'src/proxy/exchange.ts not (bytes.length <= smallBodyBytes)',
    reason: 'Whether a small body rides in one write with its head; the bytes are the same.',
  },
  { check: 'src/proxy/exchange.ts not (this.#core.observer)', reason: 'Saves making a record that nobody wants.' },
]
