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
  return [...serviceRoutes(parts), ...checkRoutes(parts)]
}

function serviceRoutes(parts: Parts): Route[] {
  const { store, runner, nodeName } = parts
  const state = store.state
  const register = async (request: CatalogRequest): Promise<Reply> => {
    const definition = parseService(parseObject(request.body))
    const replace = flag(request.query, 'replace-existing-checks')
    store.commit((index) => commands.registerService(state, nodeName, definition, replace, index))
    if (definition.checks.length > 0) runner.restart(definition.id)
    await store.durable()
    return empty()
  }
  const deregister = (request: CatalogRequest): Promise<Reply> => {
    if (request.rest === '') throw new Refusal(500, 'ServiceID missing')
    return write(parts, () => commands.deregisterService(state, nodeName, request.rest))
  }
  const maintenance = (serviceId: string, request: CatalogRequest): Promise<Reply> => {
    const enable = parseEnable(request.query)
    if (serviceId !== '' && !state.service(nodeName, serviceId))
      throw new Refusal(404, `No service registered with ID ${JSON.stringify(serviceId)}`)
    const reason = request.query.get('reason') ?? ''
    return write(parts, (index) => commands.setMaintenance(state, nodeName, serviceId, enable, reason, index))
  }
  const serviceMaintenance = (request: CatalogRequest): Promise<Reply> => {
    if (request.rest === '') throw new Refusal(400, 'Missing service ID')
    return maintenance(request.rest, request)
  }
  return [
    { path: '/v1/agent/service/register', methods: { PUT: register } },
    { path: '/v1/agent/service/deregister/', methods: { PUT: deregister } },
    { path: '/v1/agent/service/maintenance/', methods: { PUT: serviceMaintenance } },
    { path: '/v1/agent/maintenance', methods: { PUT: (request) => maintenance('', request) } },
    { path: '/v1/agent/services', methods: { GET: () => json(agentServices(parts)) } },
  ]
}

function checkRoutes(parts: Parts): Route[] {
  const { store, runner, nodeName } = parts
  const register = async (request: CatalogRequest): Promise<Reply> => {
    const definition = parseCheck(parseObject(request.body))
    let id = ''
    store.commit((index) => {
      const result = commands.registerCheck(store.state, nodeName, definition, index)
      id = result.id
      return result.changes
    })
    runner.restartCheck(id)
    await store.durable()
    return empty()
  }
  const beat = async (id: string, status: CheckStatus, output: string): Promise<Reply> => {
    runner.heartbeat(id, status, output)
    await store.durable()
    return empty()
  }
  const heartbeat = (status: CheckStatus) => (request: CatalogRequest) =>
    beat(request.rest, status, request.query.get('note') ?? '')
  const update = (request: CatalogRequest): Promise<Reply> => {
    const fields = new Fields(parseObject(request.body), ['Status', 'Output', 'Namespace', 'Partition'])
    const status = fields.string('Status')
    if (!isStatus(status)) throw new Refusal(400, `Invalid check status: '${status}'`)
    return beat(request.rest, status, fields.string('Output'))
  }
  const deregister = (request: CatalogRequest): Promise<Reply> =>
    write(parts, () => commands.deregisterCheck(store.state, nodeName, request.rest))
  return [
    { path: '/v1/agent/check/register', methods: { PUT: register } },
    { path: '/v1/agent/check/deregister/', methods: { PUT: deregister } },
    { path: '/v1/agent/check/pass/', methods: { PUT: heartbeat('passing') } },
    { path: '/v1/agent/check/warn/', methods: { PUT: heartbeat('warning') } },
    { path: '/v1/agent/check/fail/', methods: { PUT: heartbeat('critical') } },
    { path: '/v1/agent/check/update/', methods: { PUT: update } },
    { path: '/v1/agent/checks', methods: { GET: () => json(agentChecks(parts)) } },
  ]
}

async function write(parts: Parts, changes: (index: number) => readonly Change[]): Promise<Reply> {
  parts.store.commit(changes)
  await parts.store.durable()
  return empty()
}

function parseEnable(query: URLSearchParams): boolean {
  const value = query.get('enable')
  if (value === null || value === '') throw new Refusal(400, 'Missing value for enable')
  if (/^(?:1|t|T|true|TRUE|True)$/.test(value)) return true
  if (/^(?:0|f|F|false|FALSE|False)$/.test(value)) return false
  throw new Refusal(400, `Invalid value for enable: ${JSON.stringify(value)}`)
}
