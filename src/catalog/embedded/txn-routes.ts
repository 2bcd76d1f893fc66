/**
 * `/v1/txn`: several KV operations at one index, all or none. Refusals in Consul's words, as Consul 1.8 gives them: a 409 with
 * the operations that did not hold. Locks in a transaction, and operations on nodes, services, checks and sessions are refused.
 */
import { asObject, Fields } from './decode.ts'
import { deleteKey, deletePrefix, KvDraft, setKey } from './kv-commands.ts'
import { UINT64_MAX } from './kv-routes.ts'
import type { CatalogRequest, Parts, Route } from './parts.ts'
import type { KvRecord } from './records.ts'
import { parseBlocking } from './query.ts'
import { Refusal, type Reply } from './reply.ts'
import { kvView } from './views.ts'

const OPERATIONS_MAX = 64
const PARSE = 'Failed to parse body: '
const writing = new Set(['set', 'cas', 'delete', 'delete-cas', 'delete-tree'])

interface Operation {
  readonly verb: string
  readonly key: string
  /** Base64. */
  readonly value: string
  readonly flags: string
  readonly index: number
}

/** An operation that does not hold: the whole transaction does not. */
class Failed extends Error {}

export function txnRoutes(parts: Parts): Route[] {
  const put = async (request: CatalogRequest): Promise<Reply> => {
    parseBlocking(request.query, parts.datacenter)
    const operations = parseOperations(request.body)
    const errors: object[] = []
    const results: string[] = []
    parts.store.commit((index) => {
      const draft = new KvDraft(parts.store.state)
      for (const [at, operation] of operations.entries())
        try {
          results.push(...perform(draft, operation, index))
        } catch (error) {
          if (!(error instanceof Failed)) throw error
          errors.push({ OpIndex: at, What: error.message })
        }
      return errors.length > 0 ? [] : draft.changes
    })
    await parts.store.durable()
    return reply(results, errors, !operations.some(({ verb }) => writing.has(verb)))
  }
  return [{ path: '/v1/txn', methods: { PUT: put } }]
}

function reply(results: readonly string[], errors: readonly object[], reads: boolean): Reply {
  const failed = errors.length > 0
  const list = failed ? 'null' : `[${results.map((result) => `{"KV":${result}}`).join(',')}]`
  // What only reads says how it was read.
  const about = reads ? ',"Index":0,"LastContact":0,"KnownLeader":true,"ConsistencyLevel":""' : ''
  return {
    status: failed ? 409 : 200,
    body: `{"Results":${list},"Errors":${failed ? JSON.stringify(errors) : 'null'}${about}}`,
    type: 'application/json',
    headers: reads ? { 'X-Consul-KnownLeader': 'true', 'X-Consul-LastContact': '0' } : {},
  }
}

/** What the operation answers: entries as JSON. Throws {@link Failed}. */
function perform(draft: KvDraft, operation: Operation, index: number): readonly string[] {
  const { verb, key } = operation
  const quoted = JSON.stringify(key)
  if (key === '' && verb !== 'get-tree' && verb !== 'delete-tree') throw new Failed('Must provide key')
  const entry = draft.kv.get(key)
  switch (verb) {
    case 'set':
    case 'cas': {
      const changes = setKey(draft, operation, verb === 'cas' ? operation.index : undefined, index)
      if (!changes) throw new Failed(`failed to set key ${quoted}, index is stale`)
      draft.take(changes)
      return withoutValue(draft.kv.get(key))
    }
    case 'delete':
    case 'delete-cas': {
      const cas = verb === 'delete-cas' && entry ? operation.index : undefined
      const changes = deleteKey(draft, key, cas)
      if (!changes) throw new Failed(`failed to delete key ${quoted}, index is stale`)
      draft.take(changes)
      return []
    }
    case 'delete-tree':
      draft.take(deletePrefix(draft, key))
      return []
    case 'get':
      if (!entry) throw new Failed(`key ${quoted} doesn't exist`)
      return [kvView(entry)]
    case 'get-tree':
      return [...draft.kv.keys()]
        .filter((each) => each.startsWith(key))
        .sort()
        .flatMap((each) => draft.kv.get(each) ?? [])
        .map(kvView)
    case 'check-index':
      if (!entry) throw new Failed(`failed to check index, key ${quoted} doesn't exist`)
      if (entry.modifyIndex !== operation.index)
        throw new Failed(
          `failed index check for key ${quoted}, current modify index ${String(entry.modifyIndex)} != ${String(operation.index)}`,
        )
      return withoutValue(entry)
    case 'check-not-exists':
      if (entry) throw new Failed(`key ${quoted} exists`)
      return []
    case 'lock':
    case 'unlock':
    case 'check-session':
      throw new Failed(`the embedded catalog has no KV verb ${JSON.stringify(verb)} in a transaction`)
    default:
      throw new Failed(`unknown KV verb ${JSON.stringify(verb)}`)
  }
}

function withoutValue(entry: KvRecord | undefined): readonly string[] {
  return entry ? [kvView({ ...entry, value: '' })] : []
}

function parseOperations(body: Buffer): readonly Operation[] {
  try {
    const list = parseList(body)
    if (list.length > OPERATIONS_MAX)
      throw new Refusal(
        413,
        `Transaction contains too many operations (${String(list.length)} > ${String(OPERATIONS_MAX)})`,
      )
    return list.flatMap((item) => {
      const fields = new Fields(asObject(item, 'TxnOp'), ['KV', 'Node', 'Service', 'Check', 'Session'])
      for (const other of ['Node', 'Service', 'Check', 'Session'])
        if (fields.has(other))
          throw new Refusal(400, `${PARSE}the embedded catalog has no ${other} operations in a transaction`)
      const kv = fields.object('KV')
      return kv ? [parseKvOperation(kv)] : []
    })
  } catch (error) {
    if (!(error instanceof Refusal) || error.status !== 400) throw error
    throw new Refusal(400, error.message.replace('Request decode failed: ', PARSE))
  }
}

function parseList(body: Buffer): readonly unknown[] {
  const source = body.toString('utf8')
  if (source.trim() === '') throw new Refusal(400, `${PARSE}EOF`)
  let json: unknown
  try {
    json = JSON.parse(source)
  } catch {
    throw new Refusal(400, `${PARSE}unexpected EOF`)
  }
  if (json === null) return []
  if (Array.isArray(json)) return json as unknown[]
  const kind = typeof json === 'boolean' ? 'bool' : typeof json
  throw new Refusal(400, `${PARSE}json: cannot unmarshal ${kind} into Go value of type api.TxnOps`)
}

function parseKvOperation(kv: object): Operation {
  const fields = new Fields(kv, ['Verb', 'Key', 'Value', 'Flags', 'Index', 'Session'])
  const value = fields.string('Value')
  const bad = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value)
    ? -1
    : Math.max(0, value.search(/[^A-Za-z0-9+/]/))
  if (bad >= 0) throw new Refusal(400, `${PARSE}illegal base64 data at input byte ${String(bad)}`)
  const flags = fields.integer('Flags')
  if (flags < 0 || BigInt(flags) > UINT64_MAX) throw new Refusal(400, `${PARSE}Flags is no unsigned number`)
  return {
    verb: fields.string('Verb'),
    key: fields.string('Key'),
    value,
    flags: String(flags),
    index: fields.integer('Index'),
  }
}
