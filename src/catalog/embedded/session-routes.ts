/**
 * `/v1/session/*`: what locks stand on.
 */
import { parseObject } from './decode.ts'
import type { CatalogRequest, Parts, Route } from './parts.ts'
import type { SessionRecord } from './records.ts'
import { json, Refusal, type Reply } from './reply.ts'
import { createSession, destroySession } from './session-commands.ts'
import type { Topic } from './store.ts'
import { uuid } from './uuid.ts'
import { sessionView } from './views.ts'

const UUID_LENGTH = 36

export function sessionRoutes(parts: Parts): Route[] {
  const { store, nodeName, random, sessions } = parts
  const state = store.state
  const topic: Topic = { table: 'session', index: () => state.sessionsIndex }

  const create = async (request: CatalogRequest): Promise<Reply> => {
    const body = request.body.length > 0 ? parseObject(request.body) : {}
    const id = uuid(random)
    store.commit((index) => [{ kind: 'session', session: createSession(state, body, nodeName, id, index) }])
    await store.durable()
    return json({ ID: id })
  }
  const destroy = async (request: CatalogRequest): Promise<Reply> => {
    store.commit(() => destroySession(state, required(request.rest)))
    await store.durable()
    return json(true)
  }
  const renew = (request: CatalogRequest): Reply => {
    const session = state.sessions.get(required(request.rest))
    if (!session) throw new Refusal(404, `Session id '${request.rest}' not found`)
    sessions.renew(session.id)
    return json([sessionView(session)])
  }
  const info = (request: CatalogRequest): Promise<Reply> => {
    const id = checkSessionId(required(request.rest))
    return request.blocking(topic, () => {
      const session = state.sessions.get(id)
      return json(session ? [sessionView(session)] : [])
    })
  }
  const list = (request: CatalogRequest, keep: (session: SessionRecord) => boolean): Promise<Reply> =>
    request.blocking(topic, () => {
      const found = [...state.sessions.values()].filter(keep).sort((a, b) => (a.id < b.id ? -1 : 1))
      return json(found.map(sessionView))
    })
  const ofNode = (request: CatalogRequest): Promise<Reply> => {
    if (request.rest === '') throw new Refusal(400, 'Missing node name')
    return list(request, (session) => session.node === request.rest)
  }

  return [
    { path: '/v1/session/create', methods: { PUT: create } },
    { path: '/v1/session/destroy/', methods: { PUT: destroy } },
    { path: '/v1/session/renew/', methods: { PUT: renew } },
    { path: '/v1/session/info/', methods: { GET: info } },
    { path: '/v1/session/node/', methods: { GET: ofNode } },
    { path: '/v1/session/list', methods: { GET: (request) => list(request, () => true) } },
  ]
}

/** Throws a Refusal for what cannot be a session's id. */
export function checkSessionId(id: string): string {
  if (id.length !== UUID_LENGTH)
    throw new Refusal(500, 'failed session lookup: index error: UUID must be 36 characters')
  return id
}

function required(id: string): string {
  if (id === '') throw new Refusal(400, 'Missing session')
  return id
}
