/**
 * The document of a drain that reaches every proxy, `drains/HANDLE`: which registration, and until when. The handle in its
 * key is for people; what it stands for is the identity it names, since two proxies may give one instance two handles. Pure.
 */
import { instanceKey } from '../../catalog/snapshot.ts'
import { isoTime, parseIsoTime } from '../../core/clock.ts'
import { isTime } from './envelope.ts'

/** An order that every proxy carries out. */
export interface DrainDocument {
  /** The identity of the instance, from `instanceKey`. */
  readonly key: string
  /** CreateIndex of the registration it was meant for: the same instance registered anew is not drained. */
  readonly life: number
  /** Wall clock, ms, whole; undefined: until it is restored. */
  readonly untilMs: number | undefined
}

export type DrainReading =
  | { readonly kind: 'good'; readonly drain: DrainDocument }
  /** Each names a field and what is expected there. */
  | { readonly kind: 'bad'; readonly messages: readonly string[] }

/** Between the parts of a key, which cannot hold it. */
const separator = '\u001f'
const texts = ['source', 'node', 'service', 'id', 'address'] as const

/** Reads the settings of a drain; whatever they are, nothing is thrown. */
export function parseDrain(json: unknown): DrainReading {
  const { instance, life, until } = fieldsOf(json)
  const parts = fieldsOf(instance)
  const { port } = parts
  const messages: string[] = []
  const [source, node, service, id, address] = texts.map((name) => {
    const text = parts[name]
    if (typeof text === 'string' && !text.includes(separator)) return text
    messages.push(`instance.${name}: expected a text`)
    return ''
  })
  if (!isWhole(port, 1, 65_535)) messages.push('instance.port: expected a port')
  if (!isWhole(life, 0, Number.MAX_SAFE_INTEGER)) messages.push("life: expected the registration's CreateIndex")
  // A day that no month has looks like a time and is none.
  const untilMs = isTime(until) ? parseIsoTime(until) : undefined
  if (until !== undefined && untilMs === undefined)
    messages.push('until: expected a time such as "2026-11-26T07:00:00Z"')
  if (messages.length > 0 || typeof port !== 'number' || typeof life !== 'number') return { kind: 'bad', messages }
  const key = instanceKey({
    source: source ?? '',
    node: node ?? '',
    service: service ?? '',
    id: id ?? '',
    address: address ?? '',
    port,
  })
  return { kind: 'good', drain: Object.freeze({ key, life, untilMs }) }
}

/** The settings that {@link parseDrain} reads back to the same. `key` is one of `instanceKey`. */
export function encodeDrain({ key, life, untilMs }: DrainDocument): object {
  const [source, node, service, id, address, port] = key.split(separator)
  const until = untilMs === undefined ? {} : { until: isoTime(untilMs) }
  return { instance: { source, node, service, id, address, port: Number(port) }, life, ...until }
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function isWhole(value: unknown, min: number, max: number): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max
}
