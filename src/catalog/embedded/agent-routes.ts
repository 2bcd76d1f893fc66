/**
 * `/v1/agent/*`: registering services and checks, heartbeats, maintenance, and what this agent knows of itself.
 * Agent reads do not block and carry no index, as with Consul.
 */
import * as commands from './agent-commands.ts'
import { Fields, parseObject } from './decode.ts'
import { isStatus, parseCheck, parseService } from './definitions.ts'
import type { CatalogRequest, Parts, Route } from './parts.ts'
import type { Change, CheckStatus } from './records.ts'
import { empty, json, Refusal, type Reply } from './reply.ts'
import { agentServices, agentChecks } from './agent-views.ts'
import { flag } from './flag.ts'

export function agentWriteRoutes(parts: Parts): Route[] {
  const { store, runner, nodeName } = parts
  const write = async (changes: (index: number) => readonly Change[]): Promise<Reply> => {
    store.commit(changes)
    await store.durable()
    return empty()
  }
  const state = store.state

  const register = async (request: CatalogRequest): Promise<Reply> => {
    const definition = parseService(parseObject(request.body))
    const replace = flag(request.query, 'replace-existing-checks')
    store.commit((index) => commands.registerService(state, nodeName, definition, replace, index))
    runner.restart(definition.id, definition.checks.length)
    await store.durable()
    return empty()
  }
  const deregister = (request: CatalogRequest): Promise<Reply> => {
    if (request.rest === '') throw new Refusal(500, 'ServiceID missing')
    return write(() => commands.deregisterService(state, nodeName, request.rest))
  }
  const registerCheck = async (request: CatalogRequest): Promise<Reply> => {
    const definition = parseCheck(parseObject(request.body))
    let id = ''
    store.commit((index) => {
      const result = commands.registerCheck(state, nodeName, definition, index)
      id = result.id
      return result.changes
    })
    runner.restartCheck(id)
    await store.durable()
    return empty()
  }
  const heartbeat = (status: CheckStatus) => (request: CatalogRequest) => {
    runner.heartbeat(request.rest, status, request.query.get('note') ?? '')
    return store.durable().then(() => empty())
  }
  const update = async (request: CatalogRequest): Promise<Reply> => {
    const fields = new Fields(parseObject(request.body), ['Status', 'Output', 'Namespace', 'Partition'])
    const status = fields.string('Status')
    if (!isStatus(status)) throw new Refusal(400, `Invalid check status: '${status}'`)
    runner.heartbeat(request.rest, status, fields.string('Output'))
    await store.durable()
    return empty()
  }
  const maintenance = (serviceId: string, request: CatalogRequest): Promise<Reply> => {
    const enable = parseEnable(request.query)
    if (serviceId !== '' && !state.service(nodeName, serviceId))
      throw new Refusal(404, `No service registered with ID ${JSON.stringify(serviceId)}`)
    const reason = request.query.get('reason') ?? ''
    return write((index) => commands.setMaintenance(state, nodeName, serviceId, enable, reason, index))
  }
  return [
    { path: '/v1/agent/service/register', methods: { PUT: register } },
    { path: '/v1/agent/service/deregister/', methods: { PUT: deregister } },
    {
      path: '/v1/agent/service/maintenance/',
      methods: {
        PUT: (request) => {
          if (request.rest === '') throw new Refusal(400, 'Missing service ID')
          return maintenance(request.rest, request)
        },
      },
    },
    { path: '/v1/agent/maintenance', methods: { PUT: (request) => maintenance('', request) } },
    { path: '/v1/agent/check/register', methods: { PUT: registerCheck } },
    {
      path: '/v1/agent/check/deregister/',
      methods: { PUT: (request) => write(() => commands.deregisterCheck(state, nodeName, request.rest)) },
    },
    { path: '/v1/agent/check/pass/', methods: { PUT: heartbeat('passing') } },
    { path: '/v1/agent/check/warn/', methods: { PUT: heartbeat('warning') } },
    { path: '/v1/agent/check/fail/', methods: { PUT: heartbeat('critical') } },
    { path: '/v1/agent/check/update/', methods: { PUT: update } },
    { path: '/v1/agent/services', methods: { GET: () => json(agentServices(parts)) } },
    { path: '/v1/agent/checks', methods: { GET: () => json(agentChecks(parts)) } },
  ]
}

function parseEnable(query: URLSearchParams): boolean {
  const value = query.get('enable')
  if (value === null || value === '') throw new Refusal(400, 'Missing value for enable')
  if (/^(?:1|t|T|true|TRUE|True)$/.test(value)) return true
  if (/^(?:0|f|F|false|FALSE|False)$/.test(value)) return false
  throw new Refusal(400, `Invalid value for enable: ${JSON.stringify(value)}`)
}
