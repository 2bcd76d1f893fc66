/**
 * Fills a real agent's catalog: services with instances and a passing check each, on nodes of their own, by transactions.
 * The instances are entries only; nothing runs behind them but where `real` says so.
 */
export interface Filling {
  readonly services: number
  readonly instancesPerService: number
  /** The service whose instances stand at this port of 127.0.0.1; those of all others at addresses nobody asks. */
  readonly real: { readonly service: string; readonly port: number }
}

/** Consul's limit of operations in a transaction. */
const operationsMax = 64
const nodes = 100

/** `svc-0001` and so on; `index` from 0. */
export function serviceName(index: number): string {
  return `svc-${String(index + 1).padStart(4, '0')}`
}

/** Every operation it takes, in an order in which each finds what it needs. */
export function* fillOperations(filling: Filling): Generator<object> {
  for (let node = 0; node < nodes; node++)
    yield { Node: { Verb: 'set', Node: { Node: `node-${node}`, Address: `10.0.${node}.1` } } }
  for (let service = 0; service < filling.services; service++)
    for (let instance = 0; instance < filling.instancesPerService; instance++) {
      const name = serviceName(service)
      const serial = service * filling.instancesPerService + instance
      const node = `node-${serial % nodes}`
      const id = `${name}-${instance}`
      const isReal = filling.real.service === name
      const place = isReal
        ? { Address: '127.0.0.1', Port: filling.real.port }
        : { Address: `10.1.${serial >> 8}.${serial & 255}`, Port: 8_000 + instance }
      const meta = { version: '1.0.0' }
      const weights = { Passing: 1, Warning: 1 }
      const entry = { ID: id, Service: name, Tags: ['http'], Meta: meta, Weights: weights, ...place }
      yield { Service: { Verb: 'set', Node: node, Service: entry } }
      const check = { Node: node, CheckID: `service:${id}`, Name: 'http', Status: 'passing', ServiceID: id }
      yield { Check: { Verb: 'set', Check: check } }
    }
}

/** Sends them all through `put`, 64 at a time, one transaction after the other. */
export async function fill(filling: Filling, put: (path: string, body: unknown) => Promise<unknown>): Promise<void> {
  let batch: object[] = []
  for (const operation of fillOperations(filling)) {
    batch.push(operation)
    if (batch.length < operationsMax) continue
    await put('/v1/txn', batch)
    batch = []
  }
  if (batch.length > 0) await put('/v1/txn', batch)
}
