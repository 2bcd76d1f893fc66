import fc from 'fast-check'
import t from 'tap'
import { failureAnswer } from '../../src/proxy/failure-answer.ts'
import { canRescue, decide, isIdempotent, isSafe, type RequestFacts, unsentAttemptsMax } from '../../src/proxy/retry.ts'
import type { Failure, FailureKind } from '../../src/wire/failure.ts'

const answers: Readonly<Record<FailureKind, readonly [status: number, error: string]>> = {
  refused: [503, 'connection_refused'],
  unreachable: [503, 'destination_ip_unroutable'],
  'connect-timeout': [504, 'connection_timeout'],
  local: [503, 'destination_unavailable'],
  closed: [502, 'connection_terminated'],
  reset: [502, 'connection_terminated'],
  invalid: [502, 'http_protocol_error'],
  certificate: [502, 'tls_certificate_error'],
  tls: [502, 'tls_protocol_error'],
  'first-byte-timeout': [504, 'http_response_timeout'],
  'idle-timeout': [504, 'http_response_timeout'],
}

const kinds = Object.keys(answers) as FailureKind[]
const safe = ['GET', 'HEAD', 'OPTIONS']
const unsafe = ['POST', 'PUT', 'DELETE', 'PATCH', 'TRACE', 'get', 'X-Y', '']
const flags = [false, true]

const failure = (kind: FailureKind, parts: Partial<Failure> = {}): Failure => ({
  kind,
  detail: '',
  reused: false,
  sent: false,
  received: false,
  ...parts,
})
const facts = (parts: Partial<RequestFacts> = {}): RequestFacts => ({
  method: 'GET',
  keyed: false,
  replayable: true,
  attempts: 1,
  sentAttempts: 1,
  attemptsMax: 3,
  ...parts,
})

t.test('which methods are safe', async (t) => {
  for (const method of safe) t.ok(isSafe(method), method)
  for (const method of unsafe) t.notOk(isSafe(method), method)
})

/** The rule in other words: what must hold for another attempt. */
function wanted(what: Failure, request: RequestFacts): string {
  const { kind, sent, received, reused } = what
  if (!request.replayable) return 'answer'
  if (!sent) return request.attempts < unsentAttemptsMax ? `free ${kind}` : 'answer'
  const silent = (kind === 'closed' || kind === 'reset') && !received
  const mayRepeat = silent && request.sentAttempts < Math.min(2, request.attemptsMax)
  if (mayRepeat && !request.keyed && ['PUT', 'DELETE'].includes(request.method)) return 'prove'
  if (!mayRepeat || !(request.keyed || safe.includes(request.method))) return 'answer'
  return reused ? 'free stale-connection' : `spends ${kind}`
}

function told(what: Failure, request: RequestFacts): string {
  const decision = decide(what, request)
  return decision.kind !== 'retry' ? decision.kind : `${decision.spends ? 'spends' : 'free'} ${decision.reason}`
}

t.test('every kind of failure, method and circumstance', async (t) => {
  let count = 0
  for (const kind of kinds)
    for (const method of [...safe, ...unsafe])
      for (const sent of flags)
        for (const received of flags)
          for (const reused of flags)
            for (const replayable of flags)
              for (const sentAttempts of [1, 2, 3])
                for (const attempts of [1, unsentAttemptsMax - 1, unsentAttemptsMax])
                  for (const [attemptsMax, keyed] of [1, 2, 3].flatMap((n) => flags.map((f) => [n, f] as const))) {
                    const what = failure(kind, { sent, received, reused })
                    const request = facts({ method, keyed, replayable, sentAttempts, attempts, attemptsMax })
                    count++
                    if (told(what, request) !== wanted(what, request))
                      t.fail(`${JSON.stringify({ ...what, ...request })}: ${told(what, request)}`)
                  }
  t.equal(count, 11 * 11 * 16 * 54)
})

t.test('what nobody got goes elsewhere, whatever it is, and is free', async (t) => {
  for (const kind of kinds)
    t.strictSame(decide(failure(kind), facts({ method: 'POST' })), { kind: 'retry', spends: false, reason: kind }, kind)
})

t.test('what somebody may have done is not done again unless that is harmless', async (t) => {
  const gone = failure('reset', { sent: true, reused: true })
  t.equal(told(gone, facts()), 'free stale-connection')
  for (const method of unsafe) {
    const idempotent = method === 'PUT' || method === 'DELETE'
    t.equal(told(gone, facts({ method })), idempotent ? 'prove' : 'answer', method)
    t.equal(told(gone, facts({ method, keyed: true })), 'free stale-connection', `${method} with an Idempotency-Key`)
  }
  t.equal(told({ ...gone, received: true }, facts()), 'answer', 'some of an answer came')
  t.equal(told(gone, facts({ sentAttempts: 2 })), 'answer', 'a poison request walks no fleet')
  t.equal(told(gone, facts({ replayable: false })), 'answer')
  t.equal(told(failure('invalid', { sent: true }), facts()), 'answer')
  t.equal(told(failure('first-byte-timeout', { sent: true }), facts()), 'answer')
})

t.test('what may be taken from an ejected endpoint', async (t) => {
  for (const method of [...safe, ...unsafe])
    for (const keyed of flags)
      for (const proven of flags) {
        const may = safe.includes(method) || (proven && (keyed || method === 'PUT' || method === 'DELETE'))
        t.equal(canRescue(facts({ method, keyed }), proven), may, `${method} ${keyed ? 'keyed' : ''} ${proven}`)
        t.notOk(canRescue(facts({ method, keyed, replayable: false }), proven))
        t.notOk(canRescue(facts({ method, keyed, sentAttempts: 2 }), proven), 'each at most once')
        t.notOk(canRescue(facts({ method, keyed, attemptsMax: 1 }), proven), 'the setting that forbids retries')
      }
})

t.test('nothing is executed more than twice, whatever happens', async (t) => {
  const what = fc.record({
    kind: fc.constantFrom(...kinds),
    detail: fc.constant(''),
    reused: fc.boolean(),
    sent: fc.boolean(),
    received: fc.boolean(),
  })
  fc.assert(
    fc.property(
      fc.constantFrom(...safe, ...unsafe),
      fc.integer({ min: 1, max: 5 }),
      fc.array(what, { maxLength: 100, minLength: 100 }),
      (method, attemptsMax, failures) => {
        let attempts = 0
        let sentAttempts = 0
        for (const each of failures) {
          attempts++
          if (each.sent) sentAttempts++
          if (
            decide(each, { method, keyed: false, replayable: true, attempts, sentAttempts, attemptsMax }).kind ===
            'answer'
          )
            break
        }
        return sentAttempts <= (isIdempotent(method) ? 2 : 1) && attempts <= unsentAttemptsMax
      },
    ),
  )
  t.pass()
})

t.test('what the client is told of each failure', async (t) => {
  for (const kind of kinds) {
    const answer = failureAnswer(failure(kind))
    t.strictSame([answer.status, answer.error], answers[kind], kind)
  }
})
