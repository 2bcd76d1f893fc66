/**
 * Once, a client that pipelined requests and read no answers made the proxy keep every answer in memory: a complete
 * answer that its socket did not take must hold back the next request.
 */
import { connect } from 'node:net'
import t from 'tap'
import { get, withRig } from '../fixtures/plane-parts.ts'
import { until } from '../fixtures/until.ts'

const requests = 3_000
/** More than the kernel's buffers of both ends can swallow between them. */
const pageBytes = 100_000

void t.test('a pipeline whose answers nobody reads is not answered', async (t) => {
  await withRig({}, async (rig) => {
    rig.plane.setErrorPages(new Map([[404, { body: Buffer.alloc(pageBytes, 'e'), contentType: 'text/html' }]]))
    const address = rig.plane.addresses()[0]
    const socket = connect({ host: '127.0.0.1', port: address?.port ?? 0, noDelay: true })
    socket.pause()
    socket.write(get('/').replace('a.test', 'nowhere.test').repeat(requests))
    // Answering goes on until the kernel takes no more; then it must stand still, long before the last request.
    let before = -1
    await until(() => {
      const now = rig.records.length
      const still = now > 0 && now === before
      before = now
      return still
    })
    t.ok(rig.records.length < requests / 2, `answered ${rig.records.length} of ${requests}`)

    let bytes = 0
    socket.on('data', (chunk: Buffer) => (bytes += chunk.length))
    socket.resume()
    await until(() => rig.records.length === requests && bytes > requests * pageBytes, { timeoutMs: 20_000 })
    t.equal(rig.records.length, requests, 'and goes on as the client reads')
    socket.destroy()
  })
})
