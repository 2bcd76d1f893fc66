/** Once, a read full of pipelined requests that we answer ourselves was answered in one go while everybody else waited. */
import { connect } from 'node:net'
import { once } from 'node:events'
import t from 'tap'
import { get, withRig } from '../fixtures/plane-parts.ts'
import { until } from '../fixtures/until.ts'

void t.test('others have their turn between pipelined requests', async (t) => {
  await withRig({}, async (rig) => {
    const port = rig.plane.addresses()[0]?.port ?? 0
    const greedy = connect({ host: '127.0.0.1', port, noDelay: true })
    const other = connect({ host: '127.0.0.1', port, noDelay: true })
    await Promise.all([once(greedy, 'connect'), once(other, 'connect')])
    greedy.resume()
    other.resume()
    const requests = 1_500
    greedy.write(get('/greedy').replace('a.test', 'x.test').repeat(requests))
    other.write(get('/other').replace('a.test', 'x.test'))
    await until(() => rig.records.length === requests + 1)
    const place = rig.records.findIndex((record) => record.target === '/other')
    t.ok(place < requests / 4, `answered after ${place} of ${requests}`)
    greedy.destroy()
    other.destroy()
  })
})
