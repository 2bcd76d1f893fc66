/**
 * `/v1/catalog/register` and `/v1/catalog/deregister`.
 */
import { deregisterNode, registerNode } from './catalog-commands.ts'
import { parseObject } from './decode.ts'
import type { CatalogRequest, Parts, Route } from './parts.ts'
import type { Change } from './records.ts'
import { json, type Reply } from './reply.ts'

export function catalogWriteRoutes(parts: Parts): Route[] {
  const { store, datacenter } = parts
  const write =
    (changes: (body: object, index: number) => readonly Change[]) =>
    async (request: CatalogRequest): Promise<Reply> => {
      const body = parseObject(request.body)
      store.commit((index) => changes(body, index))
      await store.durable()
      return json(true)
    }
  const register = write((body, index) => registerNode(store.state, body, datacenter, index))
  const deregister = write((body) => deregisterNode(store.state, body))
  return [
    { path: '/v1/catalog/register', methods: { PUT: register } },
    { path: '/v1/catalog/deregister', methods: { PUT: deregister } },
  ]
}
