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
    check: 'src/wire/head-read.ts not (bytes - from > wholeReadBytes)',
    reason: 'Only how much of a read is decoded at once.',
  },
  { check: 'src/wire/head-read.ts not (found >= 0)', reason: 'Only how much of a read is decoded at once.' },
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
    check: 'src/wire/chunked.ts not (used instanceof Refusal)',
    reason: 'The refusal, taken for a place, ends the loop and is what it returns.',
  },
  {
    check: 'src/wire/chunked.ts without "byte >= 0x30 " in (byte >= 0x30 && byte <= 0x39)',
    reason: 'Below the digits the value is negative, which says no digit as well.',
  },
  {
    check:
      'src/wire/client-connection.ts without "this.#bodyFollows " in (this.#bodyFollows && this.#state === state.head)',
    reason: 'Saves reading the clock: without a body the time to the answer has begun in this very moment.',
  },
  {
    check: 'src/wire/client-connection.ts not (this.#paused)',
    reason: 'Pausing twice is pausing once.',
  },
  {
    check: 'src/wire/client-connection.ts not ( this.#state < state.length )',
    reason: 'What resumes as it becomes idle gets its own deadline right after.',
  },
  {
    check: 'src/wire/client-connection.ts not (this.#state !== state.connecting)',
    reason: 'A guard: a destroyed socket tells of no connection.',
  },
  {
    check: 'src/wire/client-connection.ts not (exchange === undefined)',
    reason: 'A guard for the types: who reads a head or a body has an exchange.',
  },
  {
    check:
      'src/wire/client-connection.ts without "this.#state === state.tunnel " in (this.#state === state.tunnel && next < bytes)',
    reason: 'Who gave up has taken the exchange away; nobody is told.',
  },
  {
    check: 'src/wire/client-connection.ts without " next < bytes" in (this.#state === state.tunnel && next < bytes)',
    reason: 'Saves passing on nothing.',
  },
  {
    check:
      'src/wire/client-connection.ts without "this.#state === state.head " in (this.#state === state.head && next < bytes)',
    reason: 'What reads on finds no exchange.',
  },
  {
    check: 'src/wire/client-connection.ts without " next < bytes" in (this.#state === state.head && next < bytes)',
    reason: 'Saves reading nothing.',
  },
  {
    check:
      'src/wire/client-connection.ts without " this.#exchange === exchange" in (from < bytes && this.#exchange === exchange)',
    reason: 'What reads on finds no exchange.',
  },
  {
    check: 'src/wire/client-connection.ts not (decoder === undefined)',
    reason: 'A guard for the types: a chunked answer has a decoder.',
  },
  {
    check: 'src/wire/deadlines.ts without "last !== undefined " in (last !== undefined && last !== entry)',
    reason: 'A guard for the types: an entry with a slot is in the list.',
  },
  {
    check: 'src/wire/host.ts not (close < 0 )',
    reason: 'Without the bracket the whole is looked at as a port and refused there.',
  },
  {
    check:
      'src/wire/names.ts without "listed !== undefined " in (listed !== undefined && startsWithName(text, from, listed.name))',
    reason: 'A guard for the types.',
  },
  {
    check: 'src/wire/pool.ts not (!wasIdle)',
    reason: 'Saves looking for what is not there.',
  },
  {
    check: 'src/wire/request-head.ts not (space < 0 )',
    reason: 'No first space is no second one, either.',
  },
  {
    check: 'src/wire/request-head.ts not ( space > lineEnd)',
    reason: 'The second space is then past the line, too, or missing.',
  },
  {
    check: 'src/wire/request-head.ts /^http:\\/\\/([^/?]+)(.*)$/i as /^http:\\/\\/([^/?]+)(.*)/i',
    reason: 'A target has no line end at which `.` would stop.',
  },
  {
    check:
      'src/wire/request-head.ts without "underscores " in (underscores && isUnderscoreTwin(text.slice(at, colon)))',
    reason: 'A short way for heads without underscores.',
  },
  {
    check: "src/wire/response-head.ts not (text.startsWith('HTTP/1.1 200 OK\\r\\n', from))",
    reason: 'A short way for the commonest status line.',
  },
  {
    check:
      "src/wire/response-head.ts without \"option !== 'upgrade' \" in (option !== 'upgrade' && !neverNominated.has(option))",
    reason: 'Upgrade lines have been dropped by then.',
  },
  {
    check: 'src/wire/client-connection.ts not ( this.#stalled())',
    reason: 'It is always false: called for what it notes.',
  },
  {
    check: 'src/wire/client-connection.ts not ( (this.#bodyFollows && this.#stalled()))',
    reason: 'It is always false: called for what it notes.',
  },
  {
    check:
      'src/wire/client-connection.ts without " head.framing !== framing.close" in (head.keepAlive && head.framing !== framing.close)',
    reason: 'The end of such an answer counts as surplus, and nobody waits behind one by then.',
  },
  {
    check: 'src/wire/server-connection.ts not ( this.#stalled())',
    reason: 'It is always false: called for what it notes.',
  },
  {
    check: 'src/wire/server-connection.ts not (this.#state === state.tunnel )',
    reason: 'A tunnel is finished with `persist` false.',
  },
  {
    check: 'src/wire/server-connection.ts not ( !this.mayPersist)',
    reason: 'Between head and end of an answer only draining changes it, and the next step looks at that.',
  },
  {
    check: 'src/wire/socket-writer.ts not (endIsSet)',
    reason: 'Only how often the end of a turn is looked for.',
  },
  {
    check: 'src/proxy/attempt.ts not (this.#ended)',
    reason: 'A guard: who holds an attempt lets go of it as it ends.',
  },
  {
    check: "src/proxy/course.ts not (found === 'wait')",
    reason: 'A guard for the types: who does not say that it may wait is never told to.',
  },
  {
    check: 'src/proxy/course.ts not (!this.#aim)',
    reason: 'A guard for the types: what goes on to another endpoint was routed to one.',
  },
  {
    check: 'src/proxy/course.ts not ( !this.#aim)',
    reason: 'A guard for the types: what is attempted was routed to somebody.',
  },
  {
    check: 'src/proxy/course.ts without " this.endpoint" in (this.#tie && this.endpoint)',
    reason: 'A guard for the types: what answers is an endpoint.',
  },
  {
    check: 'src/proxy/data-plane.ts not (old.connections.size === 0)',
    reason: 'Only how long a retired listener without connections is remembered.',
  },
  {
    check: 'src/proxy/exchange.ts not (this.#tunnel)',
    reason: 'The tunnel resumes the same attempt.',
  },
  {
    check: 'src/proxy/exchange.ts not (endpoint === undefined )',
    reason: 'A guard: a group that was picked has an endpoint.',
  },
  {
    check: 'src/proxy/exchange.ts not ( head === undefined )',
    reason: 'A guard for the types: there is a request.',
  },
  {
    check: 'src/proxy/exchange.ts not ( group === undefined )',
    reason: 'A guard for the types: an endpoint was picked from a group.',
  },
  {
    check: 'src/proxy/exchange.ts not (service === undefined)',
    reason: 'A guard for the types: there is a service.',
  },
  {
    check: 'src/proxy/exchange.ts not ( service === undefined)',
    reason: 'A guard for the types: there is a service.',
  },
  {
    check: 'src/proxy/tries.ts without "last " in (last && this.attempts > noted)',
    reason: 'A guard for the types: where there was an attempt, there was an endpoint.',
  },
  {
    check: 'src/proxy/listener.ts not (this.draining)',
    reason: 'Closing a closed server changes nothing.',
  },
  {
    check: 'src/proxy/listener.ts not (address === undefined )',
    reason: 'For a client that is gone before it is accepted; nobody can time that in a test.',
  },
  {
    check: 'src/proxy/listener.ts not ( this.draining)',
    reason: 'For a client accepted in the moment of closing; nobody can time that in a test.',
  },
  {
    check: 'src/proxy/path.ts /%[0-9A-Fa-f]{2}/g as /%[^]{2}/g',
    reason: 'Escapes that are none have been refused by then.',
  },
  {
    check: 'src/wire/held-bytes.ts not (last === undefined )',
    reason: 'For the types: what comes to nothing is longer than any block by the line before.',
  },
  {
    check: 'src/wire/held-bytes.ts not (this.#bytes === 0)',
    reason: 'A short way for what holds nothing, which is nearly every request.',
  },
  {
    check: 'src/proxy/replay-body.ts not (this.#kept.size === 0 && this.#whole)',
    reason: 'A short way for requests without a body.',
  },
  {
    check: "src/proxy/upstream-head.ts not (via === '')",
    reason: 'A short way; an empty list names nobody.',
  },
  {
    check: 'src/proxy/tunnel.ts not (this.#clientEnded)',
    reason: 'As a guard: an end is told once. Where the same words choose, the suite of the tunnel notices.',
  },
  {
    check: 'src/proxy/tunnel.ts not (this.#upstreamEnded)',
    reason: 'As a guard: an end is told once. Where the same words choose, the suite of the tunnel notices.',
  },
]
