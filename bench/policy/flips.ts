/**
 * How soon a split that is written to the KV is what proxies route by: one service in two versions, all weight on one of them,
 * and with each write on the other.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { Client, type NamedBackend, whenAnswers } from '../catalog/clients.ts'

export const service = 'shop'
export const versions = ['1', '2'] as const
const key = `/v1/kv/fairlead/services/${service}`

/** Consul's HTTP API; throws unless the answer is 2xx. */
export type Api = (method: string, path: string, body?: unknown) => Promise<unknown>

export interface FlipScene {
  readonly api: Api
  /** Of the proxies, each with a route `/` to the service. */
  readonly ports: readonly number[]
}

/** Registers one instance of each version; each calls itself by its version. */
export async function registerVersions(api: Api, backends: readonly NamedBackend[]): Promise<void> {
  for (const [i, { port }] of backends.entries()) {
    const version = versions[i] ?? ''
    const instance = { ID: `${service}-${version}`, Name: service, Address: '127.0.0.1', Port: port, Meta: { version } }
    await api('PUT', '/v1/agent/service/register', instance)
  }
}

/** Writes the document that gives `chosen` all the weight, as `fairlead split` would; `revision` is from 1. */
export async function writeSplit(api: Api, chosen: string, revision: number): Promise<void> {
  const settings = { versions: Object.fromEntries(versions.map((version) => [version, version === chosen ? 100 : 0])) }
  const at = new Date().toISOString()
  const written = await api('PUT', key, { revision, by: 'bench', at, reason: `flip ${revision}`, settings })
  if (written !== true) throw new Error(`Consul did not take the document: ${String(written)}`)
}

/**
 * `count` flips with `gapMs` of quiet between a flip's end and the next write. For each flip a time per proxy, in the order of
 * the ports: from the write's answer to the end of the first answer that came from the version chosen, ms; below 0: the proxy
 * was sooner than Consul's answer reached the bench. Both are asked all the while, one request after the other.
 */
export async function measureFlips(
  { api, ports }: FlipScene,
  count: number,
  gapMs: number,
  say: (line: string) => void,
): Promise<readonly (readonly number[])[]> {
  const clients = ports.map((port) => ({ port, client: new Client() }))
  const all = (version: string): Promise<number[]> =>
    Promise.all(clients.map(({ client, port }) => whenAnswers(client, port, '/', version)))
  const flips: (readonly number[])[] = []
  try {
    await writeSplit(api, versions[0], 1)
    await all(versions[0])
    for (let flip = 0; flip < count; flip++) {
      say(`flip ${flip + 1} of ${count}`)
      const chosen = versions[(flip + 1) % 2] ?? ''
      await delay(gapMs)
      const reached = all(chosen)
      // Clients are in full swing before anything changes; a failure is told where it is awaited.
      reached.catch(() => {})
      await delay(20)
      await writeSplit(api, chosen, flip + 2)
      const writtenAt = performance.now()
      flips.push((await reached).map((at) => at - writtenAt))
    }
    return flips
  } finally {
    for (const { client } of clients) client.close()
  }
}
