/** What observers learn of a request that is over; made only where somebody observes. */
import type { RequestHead } from '../wire/request-head.ts'
import type { ServerConnection } from '../wire/server-connection.ts'
import type { Course } from './course.ts'
import type { RequestRecord } from './options.ts'

type Facts = Pick<RequestRecord, 'requestId' | 'status' | 'origin' | 'attempts' | 'durationMs' | 'bytesSent' | 'cause'>

export function requestRecord(
  head: RequestHead | undefined,
  client: ServerConnection,
  { endpoint, service, group }: Course,
  facts: Facts,
): RequestRecord {
  const instance = endpoint?.endpoint
  return {
    ...facts,
    clientAddress: client.remoteAddress,
    method: head?.method ?? '',
    host: head?.host ?? '',
    target: head?.target ?? '',
    service: service?.table.name ?? '',
    version: group?.version ?? '',
    endpoint: instance ? `${instance.address}:${String(instance.port)}` : '',
    handle: instance?.handle ?? '',
    bytesReceived: client.requestBytes,
  }
}
