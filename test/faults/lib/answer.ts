/**
 * The body that a backend of the suite answers with, and what a client makes of it: who answered what, and a last line that
 * only a whole body has. Pure; both sides use it.
 */

export interface AnswerFacts {
  readonly id: string
  readonly service: string
  readonly instance: string
  readonly method: string
  /** Bytes of the request's body that reached the backend. */
  readonly received: number
}

/** `filler` bytes are put between the facts and the last line. */
export function answerBody(facts: AnswerFacts, filler = 0): string {
  const { id, service, instance, method, received } = facts
  return `${id} ${service} ${instance} ${method} ${received} ${filler}\n${'.'.repeat(filler)}\nend ${id}\n`
}

export type BodyVerdict =
  | { readonly kind: 'right'; readonly instance: string }
  /** Another request's answer, or made of another request's bytes. */
  | { readonly kind: 'wrong-request'; readonly instance: string }
  | { readonly kind: 'wrong-service'; readonly instance: string }
  /** Its framing said that it was whole, and it is not. */
  | { readonly kind: 'short'; readonly instance: string }

/** Judges a body whose framing is complete. `received` is what the client sent of a body. */
export function judgeBody(body: string, expected: Omit<AnswerFacts, 'instance'>): BodyVerdict {
  const [id, service = '', instance = '', method, received, filler] = body.slice(0, body.indexOf('\n')).split(' ')
  if (filler === undefined) return { kind: 'short', instance }
  if (service !== expected.service) return { kind: 'wrong-service', instance }
  const same = id === expected.id && method === expected.method && Number(received) === expected.received
  if (!same) return { kind: 'wrong-request', instance }
  const whole = answerBody({ ...expected, instance }, Number(filler))
  return { kind: body === whole ? 'right' : 'short', instance }
}
