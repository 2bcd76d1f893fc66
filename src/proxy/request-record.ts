/** What is told of a request that is over: to observers, and of one that had trouble to the ring that keeps those. */
import type { RequestHead } from '../wire/request-head.ts'
import type { ServerConnection } from '../wire/server-connection.ts'
import type { Course } from './course.ts'
import type { RequestRecord } from './options.ts'
import type { PlaneCore } from './plane-core.ts'
import type { Tries } from './tries.ts'
import { routeText } from './trouble.ts'

type Facts = Pick<RequestRecord, 'requestId' | 'status' | 'origin' | 'durationMs' | 'bytesSent' | 'cause'>

/** Called where somebody observes, or where there was trouble. */
export function tellEnd(
  core: PlaneCore,
  head: RequestHead | undefined,
  client: ServerConnection,
  { endpoint, service, group }: Course,
  tries: Tries,
  facts: Facts,
  troubled: boolean,
): void {
  const instance = endpoint?.endpoint
  const record: RequestRecord = {
    ...facts,
    clientAddress: client.remoteAddress,
    method: head?.method ?? '',
    host: head?.host ?? '',
    target: head?.target ?? '',
    service: service?.table.name ?? '',
    version: group?.version ?? '',
    endpoint: instance ? `${instance.address}:${String(instance.port)}` : '',
    handle: instance?.handle ?? '',
    attempts: tries.attempts,
    bytesReceived: client.requestBytes,
  }
  core.observer?.requestDone(record)
  if (!troubled) return
  const attempts = tries.story(instance, record, client.startedMs)
  core.tellTrouble({ record, route: routeText(core, head, service), attempts })
}
