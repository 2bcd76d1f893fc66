/**
 * From the body of a registration to what it means: service and check definitions, validated as Consul 1.8 does
 * (same order, same words). Pure. It must not know what is registered already.
 */
import { asObject, Fields } from './decode.ts'
import type { CheckRun, CheckStatus, Probe, ServiceAddress, ServiceRecord } from './records.ts'
import { Refusal } from './reply.ts'

/** Consul's reaper ignores less. */
const DEREGISTER_AFTER_MIN_MS = 60_000
const TIMEOUT_DEFAULT_MS = 10_000
/** What is longer than a day is a slip, and timers have their own limit. */
const INTERVAL_MAX_MS = 86_400_000
const OUTPUT_BYTES_MAX = 4096
const META_PAIRS_MAX = 64
const META_KEY_MAX = 128
const META_VALUE_MAX = 512
const WEIGHT_MAX = 65_535
const PORT_MAX = 65_535

const SERVICE_FIELDS: readonly string[] = (
  'ID Name Service Tags Address TaggedAddresses Meta Port Check ' +
  'Checks Weights Token EnableTagOverride Kind Proxy Connect Namespace Partition ' +
  'Locality SocketPath PeerName'
).split(' ')
const CHECK_FIELDS: readonly string[] = (
  'ID CheckID Name Notes Status ServiceID Token ScriptArgs Args ' +
  'Script HTTP Header Method Body TCP UDP Interval Timeout ' +
  'TTL DockerContainerID Shell GRPC GRPCUseTLS TLSSkipVerify TLSServerName AliasNode AliasService ' +
  'DeregisterCriticalServiceAfter H2PING H2PingUseTLS OSService SuccessBeforePassing FailuresBeforeCritical FailuresBeforeWarning OutputMaxSize Namespace ' +
  'Partition DisableRedirects ExposedPort ProxyHTTP ProxyGRPC Type'
).split(' ')

export interface CheckDefinition {
  /** Empty: to be derived from the service. */
  readonly id: string
  readonly name: string
  readonly notes: string
  readonly status: CheckStatus
  readonly serviceId: string
  readonly run: CheckRun
}

export type ServiceDefinition = Omit<ServiceRecord, 'node' | 'createIndex' | 'modifyIndex'> & {
  readonly checks: readonly CheckDefinition[]
}

/** Throws a Refusal. */
export function parseService(body: object): ServiceDefinition {
  const fields = new Fields(body, SERVICE_FIELDS)
  const name = fields.string('Name')
  const weights = parseWeights(fields.object('Weights'))
  const address = fields.string('Address')
  const port = fields.integer('Port')
  const meta = fields.stringMap('Meta')
  const tags = fields.strings('Tags')
  const one = fields.object('Check')
  const checkBodies = [...(one ? [one] : []), ...fields.list('Checks').map((item) => asObject(item, 'Checks'))]
  const taggedAddresses = parseTaggedAddresses(fields.object('TaggedAddresses'), address, port)
  const enableTagOverride = fields.boolean('EnableTagOverride')
  if (name === '') throw new Refusal(400, 'Missing service name')
  if (address === '0.0.0.0' || address === '::' || address === '[::]') throw new Refusal(400, 'Invalid service address')
  if (port < 0 || port > PORT_MAX) throw new Refusal(400, `Invalid service port: ${String(port)}`)
  checkWeights(weights)
  checkMeta(meta)
  const checks = checkBodies.flatMap((item) => (Object.keys(item).length === 0 ? [] : [parseCheck(item)]))
  refuseConnect(fields)
  return {
    id: fields.string('ID') || name,
    name,
    tags,
    address,
    port,
    meta,
    taggedAddresses,
    weights,
    enableTagOverride,
    checks,
  }
}

/** Throws a Refusal. */
export function parseCheck(body: object): CheckDefinition {
  const fields = new Fields(body, CHECK_FIELDS)
  const definition = {
    id: fields.string('CheckID') || fields.string('ID'),
    name: fields.string('Name'),
    notes: fields.string('Notes'),
    serviceId: fields.string('ServiceID'),
  }
  const run: CheckRun = {
    probe: parseProbe(fields),
    deregisterAfterMs: deregisterAfter(fields.duration('DeregisterCriticalServiceAfter')),
    successBeforePassing: fields.integer('SuccessBeforePassing'),
    failuresBeforeCritical: fields.integer('FailuresBeforeCritical'),
    outputBytesMax: Math.min(fields.integer('OutputMaxSize') || OUTPUT_BYTES_MAX, OUTPUT_BYTES_MAX),
  }
  const status = fields.string('Status') || 'critical'
  if (!isStatus(status)) throw new Refusal(400, "Status for checks must 'passing', 'warning', 'critical'")
  return { ...definition, status, run }
}

export function isStatus(value: string): value is CheckStatus {
  return value === 'passing' || value === 'warning' || value === 'critical'
}

function deregisterAfter(ms: number): number {
  return ms > 0 ? Math.max(ms, DEREGISTER_AFTER_MIN_MS) : 0
}

function parseProbe(fields: Fields): Probe {
  const intervalMs = Math.min(fields.duration('Interval'), INTERVAL_MAX_MS)
  const ttlMs = fields.duration('TTL')
  const timeoutMs = Math.min(fields.duration('Timeout') || TIMEOUT_DEFAULT_MS, INTERVAL_MAX_MS)
  const [url, target] = [fields.string('HTTP'), fields.string('TCP')]
  if (intervalMs > 0 && ttlMs > 0) throw new Refusal(400, 'Invalid check: Interval and TTL cannot both be specified')
  refuseOtherProbes(fields)
  if ((url || target) && intervalMs <= 0)
    throw new Refusal(400, 'Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks')
  if (url) {
    if (!/^https?:\/\/./i.test(url) || !URL.canParse(url))
      throw new Refusal(400, `Invalid check: HTTP URL '${url}' cannot be used`)
    return {
      kind: 'http',
      url,
      method: fields.string('Method').toUpperCase() || 'GET',
      header: parseHeader(fields),
      body: fields.string('Body'),
      skipVerify: fields.boolean('TLSSkipVerify'),
      intervalMs: Math.max(intervalMs, 1000),
      timeoutMs,
    }
  }
  if (target) return { kind: 'tcp', target, intervalMs: Math.max(intervalMs, 1000), timeoutMs }
  if (ttlMs <= 0) throw new Refusal(400, 'Invalid check: TTL must be > 0 for TTL checks')
  return { kind: 'ttl', ttlMs }
}

function refuseOtherProbes(fields: Fields): void {
  if (fields.list('ScriptArgs').length > 0 || fields.list('Args').length > 0 || fields.string('Script') !== '')
    throw new Refusal(
      500,
      "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true",
    )
  for (const kind of ['GRPC', 'UDP', 'DockerContainerID', 'AliasService', 'AliasNode', 'H2PING', 'OSService'])
    if (fields.string(kind) !== '')
      throw new Refusal(400, `Invalid check: the embedded catalog runs HTTP, TCP and TTL checks, not ${kind}`)
}

function parseHeader(fields: Fields): Record<string, readonly string[]> {
  const header: Record<string, readonly string[]> = Object.create(null) as Record<string, readonly string[]>
  for (const [name, values] of Object.entries(fields.object('Header') ?? {})) {
    if (
      !Array.isArray(values) ||
      !values.every((value) => typeof value === 'string') ||
      !/^[\w!#$%&'*+.^`|~-]+$/.test(name)
    )
      throw new Refusal(400, `Invalid check: Header ${JSON.stringify(name)} must be a list of strings`)
    if (values.some((value) => /[\r\n\0]/.test(value)))
      throw new Refusal(400, `Invalid check: Header ${JSON.stringify(name)} contains a line break`)
    header[name] = values
  }
  return header
}

function parseWeights(body: object | undefined): { Passing: number; Warning: number } {
  if (!body) return { Passing: 1, Warning: 1 }
  const fields = new Fields(body, ['Passing', 'Warning'])
  return { Passing: fields.integer('Passing'), Warning: fields.integer('Warning') }
}

function checkWeights(weights: { Passing: number; Warning: number }): void {
  if (weights.Passing < 1) throw new Refusal(400, 'Invalid Weights: Passing must be greater than 0')
  if (weights.Warning < 0) throw new Refusal(400, 'Invalid Weights: Warning must be greater or equal than 0')
  if (weights.Passing > WEIGHT_MAX || weights.Warning > WEIGHT_MAX)
    throw new Refusal(400, 'Invalid Weights: DNS Weight must be between 0 and 65535')
}

function checkMeta(meta: Readonly<Record<string, string>>): void {
  const pairs = Object.entries(meta)
  if (pairs.length > META_PAIRS_MAX)
    throw new Refusal(
      400,
      `Invalid Service Meta: Node metadata cannot contain more than ${String(META_PAIRS_MAX)} key/value pairs`,
    )
  for (const [key, value] of pairs) {
    const wrong = metaProblem(key, value)
    if (wrong)
      throw new Refusal(400, `Invalid Service Meta: Couldn't load metadata pair ('${key}', '${value}'): ${wrong}`)
  }
}

function metaProblem(key: string, value: string): string | undefined {
  if (key === '') return 'Key cannot be blank'
  if (!/^[a-zA-Z0-9_-]+$/.test(key)) return 'Key contains invalid characters'
  if (key.length > META_KEY_MAX) return `Key is too long (limit: ${String(META_KEY_MAX)} characters)`
  if (key.startsWith('consul-')) return "Key prefix 'consul-' is reserved for internal use"
  if (Buffer.byteLength(value) > META_VALUE_MAX)
    return `Value is too long (limit: ${String(META_VALUE_MAX)} characters)`
  return undefined
}

/** Consul adds the service's own address under its family's names, so that others can ask for a family. */
function parseTaggedAddresses(body: object | undefined, address: string, port: number): Record<string, ServiceAddress> {
  const result: Record<string, ServiceAddress> = Object.create(null) as Record<string, ServiceAddress>
  for (const [name, value] of Object.entries(body ?? {})) {
    const fields = new Fields(asObject(value, 'TaggedAddresses'), ['Address', 'Port'])
    result[name] = { Address: fields.string('Address'), Port: fields.integer('Port') }
  }
  const family = /^\d{1,3}(\.\d{1,3}){3}$/.test(address) ? 'ipv4' : address.includes(':') ? 'ipv6' : undefined
  if (family) for (const name of [`lan_${family}`, `wan_${family}`]) result[name] ??= { Address: address, Port: port }
  return Object.fromEntries(Object.entries(result).sort(([a], [b]) => (a < b ? -1 : 1)))
}

function refuseConnect(fields: Fields): void {
  if (
    fields.string('Kind') !== '' ||
    Object.values(fields.object('Connect') ?? {}).some((value) => value !== null && value !== false)
  )
    throw new Refusal(400, 'The embedded catalog has no Connect: register without Kind, Proxy and Connect')
}
