/**
 * Part 1 of the catalog bench: how soon an instance is routed after it registered, against a real agent. One service, one
 * lasting instance; another one of the version that gets all traffic comes and goes.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { ConsulAgent } from '../../test/fixtures/consul-agent.ts'
import { Client, whenAnswers, whenShown } from './clients.ts'
import type { NamedBackend } from './clients.ts'
import { arrivingVersion } from './proxy.ts'

/** One registration; all times in ms. */
export interface Arrival {
  /** From the register call being sent until Consul's own blocking query showed the instance. */
  readonly shownMs: number
  /** From then until an answer came from it through the proxy; below 0: the proxy was sooner than the bench's query. */
  readonly routedAfterShownMs: number
  /** From the register call being sent until an answer came from it. */
  readonly routedMs: number
}

export interface Scene {
  readonly agent: ConsulAgent
  readonly service: string
  readonly proxyPort: number
  /** Behind the instances that last; calls itself `lasting`. */
  readonly lasting: NamedBackend
  /** Behind those that come and go; calls itself `arriving`. */
  readonly arriving: NamedBackend
}

/** Registers an instance of the arriving version with a TTL check that passes from the start. */
export async function registerArriving(scene: Scene, id: string): Promise<void> {
  await scene.agent.api('PUT', '/v1/agent/service/register', {
    ID: id,
    Name: scene.service,
    Address: '127.0.0.1',
    Port: scene.arriving.port,
    Meta: { version: arrivingVersion },
    Check: { TTL: '60m', Status: 'passing' },
  })
}

export async function deregister(scene: Scene, id: string): Promise<void> {
  await scene.agent.api('PUT', `/v1/agent/service/deregister/${id}`)
}

async function arrive(scene: Scene, clients: readonly [Client, Client], id: string): Promise<Arrival> {
  const [consulClient, proxyClient] = clients
  const shown = whenShown(consulClient, scene.agent.ports.http, scene.service, id)
  const routed = whenAnswers(proxyClient, scene.proxyPort, `/${scene.service}`, 'arriving')
  // both are under way before the instance exists; the blocking query waits in Consul
  await delay(50)
  const startedAt = performance.now()
  const [shownAt, routedAt] = await Promise.all([shown, routed, registerArriving(scene, id)])
  return {
    shownMs: shownAt - startedAt,
    routedAfterShownMs: routedAt - shownAt,
    routedMs: routedAt - startedAt,
  }
}

/** `count` registrations, one after the other, with `gapMs` of quiet between a change and the next. */
export async function measureArrivals(
  scene: Scene,
  count: number,
  gapMs: number,
  say: (line: string) => void,
): Promise<readonly Arrival[]> {
  const clients: [Client, Client] = [new Client(), new Client()]
  const arrivals: Arrival[] = []
  try {
    await whenAnswers(clients[1], scene.proxyPort, `/${scene.service}`, 'lasting')
    for (let round = 0; round < count; round++) {
      say(`registration ${round + 1} of ${count}`)
      const id = `arriving-${round}`
      await delay(gapMs)
      arrivals.push(await arrive(scene, clients, id))
      await delay(gapMs)
      await deregister(scene, id)
      await whenAnswers(clients[1], scene.proxyPort, `/${scene.service}`, 'lasting')
    }
    return arrivals
  } finally {
    for (const client of clients) client.close()
  }
}
