/** Once, one packet of pipelined requests had the status address make a thousand expositions before anything else ran. */
import { connect } from 'node:net'
import t from 'tap'
import { createDoor, json } from '../../src/admin/door.ts'
import { silentLogger } from '../../src/core/log.ts'

void t.test('a connection has one request at a time', async (t) => {
  let made = 0
  const door = createDoor({
    name: 'status',
    address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    log: silentLogger,
    router: () => async () => json(200, { made: ++made }),
  })
  const port = Number((await door.listen()).split(':')[1])
  const get = 'GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'
  const socket = connect({ host: '127.0.0.1', port })
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.on('error', () => {})
  socket.resume()
  socket.write(get.repeat(500))
  await closed
  t.ok(made <= 1, `${made} answers were made for 500 pipelined requests`)
  await door.close()
})
