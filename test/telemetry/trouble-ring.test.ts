/** What the ring of troubled requests keeps, gives up, and counts. */
import t from 'tap'
import type { RequestRecord, Trouble } from '../../src/proxy/options.ts'
import { createTroubleRing, type TroubleRing } from '../../src/telemetry/trouble-ring.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'

function trouble(requestId: string, parts: Partial<RequestRecord> = {}): Trouble {
  const record: RequestRecord = {
    requestId,
    clientAddress: '10.1.1.1',
    method: 'GET',
    host: 'a.test',
    target: '/x',
    status: 502,
    origin: 'proxy',
    service: 'shop',
    version: '1',
    endpoint: '10.0.0.1:80',
    handle: 'shop-1',
    attempts: 1,
    durationMs: 40,
    bytesReceived: 0,
    bytesSent: 0,
    cause: 'closed',
    ...parts,
  }
  return { record, route: 'a.test/', attempts: [] }
}

const rescued: Partial<RequestRecord> = { status: 200, origin: 'upstream', cause: '' }
const left: Partial<RequestRecord> = { status: 499, cause: 'client-gone' }
const idsOf = (ring: TroubleRing, ids: string): string => ids.replace(/./g, (id) => (ring.find(id) ? id : ''))

t.test('it tells of the last of an id, and how many there were', async (t) => {
  const clock = new FakeClock()
  const ring = createTroubleRing({ clock })
  t.equal(ring.find('a'), undefined)
  ring.add(trouble('a'))
  t.match(ring.find('a'), { requestId: 'a', count: 1, status: 502, atMs: clock.wall() - 40, route: 'a.test/' })
  ring.add(trouble('a', { ...rescued, target: '/second' }))
  t.match(ring.find('a'), { count: 2, status: 200, target: '/second' })
  ring.add(trouble('a', { status: 503 }))
  t.match(ring.find('a'), { count: 3, status: 503 })
  t.equal(ring.kept().requests, 1)
})

t.test('the oldest goes first; what is ordinary does not push out what failed', async (t) => {
  const clock = new FakeClock()
  const ring = createTroubleRing({ clock, entriesMax: 2 })
  t.same(ring.kept(), { requests: 0, sinceMs: undefined })
  ring.add(trouble('a'))
  const since = clock.wall() - 40
  clock.advance(5)
  for (const id of 'bcd') ring.add(trouble(id, rescued))
  for (const id of 'ef') ring.add(trouble(id, left))
  t.equal(idsOf(ring, 'abcdef'), 'aef')
  t.same(ring.kept(), { requests: 3, sinceMs: since })
  ring.add(trouble('g', { status: 504 }))
  // Seen again it is among the newest.
  ring.add(trouble('a'))
  ring.add(trouble('h'))
  t.equal(idsOf(ring, 'agh'), 'ah')
})

t.test('its size is bounded, whatever clients send', async (t) => {
  const ring = createTroubleRing({ clock: new FakeClock(), charsMax: 20_000 })
  const long = 'x'.repeat(100_000)
  for (let i = 0; i < 500; i++) ring.add(trouble(`${i}`, { target: long, host: long, method: long }))
  t.ok(ring.kept().requests > 5 && ring.kept().requests < 20)
  t.equal(ring.find('499')?.target.length, 1_024)
  for (let i = 0; i < 500; i++) ring.add({ ...trouble(`s${i}`), route: long })
  t.ok(ring.kept().requests < 40)
})
