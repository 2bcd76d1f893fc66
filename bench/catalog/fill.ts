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
      const real = filling.real.service === name ? filling.real.port : undefined
      yield* instanceOperations({ service: name, serial, instance, life: 0 }, real)
    }
}

/** One of a service's instances. */
export interface InstancePlace {
  readonly service: string
  /** Unique in the catalog. */
  readonly serial: number
  readonly instance: number
  /** 0 is the first; each has a port of its own. */
  readonly life: number
}

const idOf = ({ service, instance, life }: InstancePlace): string =>
  life === 0 ? `${service}-${instance}` : `${service}-${instance}-${life}`

function* instanceOperations(place: InstancePlace, realPort: number | undefined): Generator<object> {
  const { service, serial, instance, life } = place
  const node = `node-${serial % nodes}`
  const id = idOf(place)
  const where =
    realPort === undefined
      ? { Address: `10.1.${serial >> 8}.${serial & 255}`, Port: 8_000 + instance + (life % 1_000) * 10 }
      : { Address: '127.0.0.1', Port: realPort }
  const meta = { version: '1.0.0' }
  const weights = { Passing: 1, Warning: 1 }
  const entry = { ID: id, Service: service, Tags: ['http'], Meta: meta, Weights: weights, ...where }
  yield { Service: { Verb: 'set', Node: node, Service: entry } }
  const check = { Node: node, CheckID: `service:${id}`, Name: 'http', Status: 'passing', ServiceID: id }
  yield { Check: { Verb: 'set', Check: check } }
}

/** The operations by which the instance at `place` takes the place of the life before it. */
export function replaceOperations(place: InstancePlace): readonly object[] {
  const old = { ID: idOf({ ...place, life: place.life - 1 }), Service: place.service }
  const gone = { Service: { Verb: 'delete', Node: `node-${place.serial % nodes}`, Service: old } }
  return [...instanceOperations(place, undefined), gone]
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
