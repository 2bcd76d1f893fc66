/**
 * `/v1/kv/*`: read, list, watch, set, compare-and-set, lock, delete. Refusals in Consul's words.
 */
import * as commands from './kv-commands.ts'
import type { KvWrite } from './kv-commands.ts'
import type { CatalogRequest, Parts, Route } from './parts.ts'
import type { Change } from './records.ts'
import { empty, json, Refusal, type Reply } from './reply.ts'
import { checkSessionId } from './session-routes.ts'
import type { Topic } from './store.ts'
import { kvView } from './views.ts'

export const UINT64_MAX: bigint = 18_446_744_073_709_551_615n

export function kvRoutes(parts: Parts): Route[] {
  const { store } = parts
  const state = store.state

  const answer = async (changes: (index: number) => readonly Change[] | undefined): Promise<Reply> => {
    let done = true
    store.commit((index) => {
      const list = changes(index)
      done = list !== undefined
      return list ?? []
    })
    await store.durable()
    return json(done)
  }

  const get = (request: CatalogRequest): Promise<Reply> => {
    const { rest: key, query } = request
    if (query.has('keys')) return listKeys(parts, request)
    if (query.has('recurse')) return listEntries(parts, request)
    if (key === '') throw new Refusal(400, 'Missing key name')
    const topic: Topic = { table: 'kv', index: () => state.keyIndex(key), concerns: (keys) => keys.has(key) }
    return request.blocking(topic, () => {
      const entry = state.kv.get(key)
      if (!entry) return empty(404)
      return query.has('raw') ? raw(entry.value) : list([kvView(entry)])
    })
  }

  const put = (request: CatalogRequest): Promise<Reply> => {
    const { rest: key, query, body } = request
    if (key === '') throw new Refusal(400, 'Missing key name')
    refuseConflict(request, ['cas', 'acquire', 'release'])
    const flags = parseUint(query.get('flags'), '0')
    const write: KvWrite = { key, value: body.toString('base64'), flags }
    const acquire = query.get('acquire')
    const release = query.get('release')
    if (acquire !== null) return answer((index) => lock(parts, write, acquire, index))
    if (release !== null) return answer((index) => commands.releaseKey(state, write, release, index))
    const cas = query.has('cas') ? Number(parseUint(query.get('cas'), '')) : undefined
    return answer((index) => commands.setKey(state, write, cas, index))
  }

  const remove = (request: CatalogRequest): Promise<Reply> => {
    const { rest: key, query } = request
    refuseConflict(request, ['recurse', 'cas'])
    if (query.has('recurse')) return answer(() => commands.deletePrefix(state, key))
    if (key === '') throw new Refusal(400, 'Missing key name')
    const cas = query.has('cas') ? Number(parseUint(query.get('cas'), '')) : undefined
    return answer(() => commands.deleteKey(state, key, cas))
  }

  return [{ path: '/v1/kv/', methods: { GET: get, PUT: put, DELETE: remove } }]
}

function lock(parts: Parts, write: KvWrite, sessionId: string, index: number): readonly Change[] | undefined {
  const session = parts.store.state.sessions.get(checkSessionId(sessionId))
  if (!session) throw new Refusal(500, `invalid session ${JSON.stringify(sessionId)}`)
  if (parts.delays.holds(write.key)) return undefined
  return commands.acquireKey(parts.store.state, write, session, index)
}

function prefixTopic(parts: Parts, prefix: string): Topic {
  const state = parts.store.state
  const concerns = (keys: ReadonlySet<string>): boolean => {
    for (const key of keys) if (key.startsWith(prefix)) return true
    return false
  }
  return { table: 'kv', index: () => state.prefixIndex(prefix), concerns }
}

function keysUnder(parts: Parts, prefix: string): string[] {
  // Code unit order; Consul's is by bytes, which differs only beyond the basic multilingual plane.
  return [...parts.store.state.kv.keys()].filter((key) => key.startsWith(prefix)).sort()
}

function listEntries(parts: Parts, request: CatalogRequest): Promise<Reply> {
  return request.blocking(prefixTopic(parts, request.rest), () => {
    const entries = keysUnder(parts, request.rest).flatMap((key) => parts.store.state.kv.get(key) ?? [])
    return entries.length === 0 ? empty(404) : list(entries.map(kvView))
  })
}

function listKeys(parts: Parts, request: CatalogRequest): Promise<Reply> {
  const prefix = request.rest
  const separator = request.query.get('separator') ?? ''
  return request.blocking(prefixTopic(parts, prefix), () => {
    const keys = keysUnder(parts, prefix)
    if (keys.length === 0) return prefix === '' ? json([]) : empty(404)
    if (separator === '') return json(keys)
    const cut = keys.map((key) => {
      const at = key.indexOf(separator, prefix.length)
      return at < 0 ? key : key.slice(0, at + separator.length)
    })
    return json([...new Set(cut)])
  })
}

function list(views: readonly string[]): Reply {
  return { status: 200, body: `[${views.join(',')}]`, type: 'application/json', headers: {} }
}

/** A value as it is. The headers keep a browser from running what somebody stored. */
function raw(value: string): Reply {
  const headers = { 'Content-Security-Policy': 'sandbox', 'X-Content-Type-Options': 'nosniff' }
  return { status: 200, body: Buffer.from(value, 'base64'), type: 'text/plain', headers }
}

function refuseConflict(request: CatalogRequest, names: readonly string[]): void {
  if (names.filter((name) => request.query.has(name)).length < 2) return
  const sorted = new URLSearchParams(request.query)
  sorted.sort()
  throw new Refusal(400, `Conflicting flags: ${sorted.toString()}`)
}

function parseUint(value: string | null, fallback: string): string {
  if (value === null) return fallback
  if (/^\d+$/.test(value) && BigInt(value) <= UINT64_MAX) return BigInt(value).toString()
  const why = /^\d+$/.test(value) ? 'value out of range' : 'invalid syntax'
  throw new Refusal(500, `strconv.ParseUint: parsing ${JSON.stringify(value)}: ${why}`)
}
