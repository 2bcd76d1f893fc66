/** Bytes of an answer's body to the client, in the framing its head announced. It keeps nothing. */
import { chunkHeader } from '../wire/chunked.ts'
import type { ServerConnection } from '../wire/server-connection.ts'
import { delivery, type Delivery } from './answer-head.ts'

/** Slices at most this long are sent as text together with their framing. */
const smallBodyBytes = 4_096

/** `bytes` are lent. False: wait until the client has taken what was written. */
export function writeBody(client: ServerConnection, bytes: Buffer, how: Delivery): boolean {
  if (how !== delivery.chunked) return client.writeBytes(Buffer.from(bytes))
  if (bytes.length <= smallBodyBytes) return client.write(chunkHeader(bytes.length) + bytes.toString('latin1') + '\r\n')
  client.cork()
  client.write(chunkHeader(bytes.length))
  client.writeBytes(Buffer.from(bytes))
  const more = client.write('\r\n')
  client.uncork()
  return more
}
