/** Upgrades in place that come to nothing, and what the running proxy has of them: nothing. */
import { join } from 'node:path'
import t from 'tap'
import { freePort } from '../fixtures/app.ts'
import type { Command } from '../fixtures/command.ts'
import { FakeConsul } from '../fixtures/fake-consul.ts'
import { has, serves, times, upgrade } from '../fixtures/held-upgrade.ts'
import { echoBackend, placeOf, ready, slow, tookOver } from '../fixtures/upgrade.ts'
import { until } from '../fixtures/until.ts'

if (process.platform !== 'linux') t.bailout('sockets are handed over on Linux only')
t.jobs = 2

for (const workers of [1, 2]) {
  t.test(`two that come at once: one takes over, the other says why it does not; workers: ${workers}`, async (t) => {
    const { place, old } = await upgrade(t, workers)
    const both = [place.start('--replace'), place.start('--replace')]
    const over = (each: Command): boolean => each.out().includes('this proxy has taken over')
    await until(() => both.every((each) => over(each) || each.child.exitCode !== null), slow)
    t.equal(both.filter(over).length, 1, both.map((each) => each.out() + each.err()).join('\n'))
    for (const each of both) if (!over(each)) t.match(each.err(), /another one is taking over from it/)
    t.equal(await old.exit, 0)
    await serves(t, place)
    t.equal(old.err(), '')
  })

  t.test(`what is refused leaves no trace, and the next one takes over; workers: ${workers}`, async (t) => {
    const { place, old } = await upgrade(t, workers)
    const text = `workers: ${workers}\n${times}`
    for (let i = 0; i < 3; i++) {
      place.write(`${text}catalog: { embedded: { address: "127.0.0.1:${await freePort()}" } }\n`)
      t.equal(await place.start('--replace').exit, 1)
    }
    place.write(text)
    t.equal(await tookOver(old, place.start('--replace')), 0)
    t.equal(old.err(), '')
    t.notMatch(old.out(), /EPIPE/)
  })

  t.test(`another proxy with the same state folder stands in nobody's way; workers: ${workers}`, async (t) => {
    const { place, old } = await upgrade(t, workers)
    const other = await placeOf(t, 0, `workers: ${workers}\n${times}`)
    other.write(`workers: ${workers}\nstateDir: ${join(place.folder, 'state')}\n${times}`)
    const beside = other.start()
    await ready(other, beside)
    t.equal(await tookOver(old, place.start('--replace')), 0)
    t.equal(old.err() + beside.err(), '')
  })
}

t.test("where --replace finds none, an address in use is said to be another program's", async (t) => {
  for (const workers of [1, 2]) {
    const { place } = await upgrade(t, workers)
    const nowhere = join(place.folder, 'elsewhere')
    place.write(`workers: ${workers}\nstateDir: ${nowhere}\n${times}`)
    const next = place.start('--replace')
    t.equal(await next.exit, 1)
    t.match(next.out(), `there is no running proxy in ${nowhere}`)
    t.notMatch(next.out(), /takes over from it/)
  }
})

t.test("an address that the running one does not have is said to be another program's", async (t) => {
  const { place, old } = await upgrade(t, 1)
  place.write(`workers: 1\nstatus: { address: "127.0.0.1:${await echoBackend(t)}" }\n${times}`)
  const next = place.start('--replace')
  t.equal(await next.exit, 1)
  t.match(next.out(), /the running proxy does not have it/)
  t.notMatch(next.out(), /takes over from it/)
  await serves(t, place)
  t.equal(old.child.exitCode, null)
})

t.test('a catalog that never answers takes over from none that sees, whatever was saved', async (t) => {
  const backend = await echoBackend(t)
  const consul = await FakeConsul.start()
  t.teardown(() => consul.stop())
  consul.set('web', [{ id: 'web-1', port: backend, address: '127.0.0.1' }])
  const consulAt = (address: string): string => `workers: 1\ncatalog: { consul: { address: "${address}" } }\n${times}`
  const place = await placeOf(t, backend, consulAt(consul.address))
  const old = place.start()
  await ready(place, old)
  const saved = place.start('--replace')
  t.equal(await tookOver(old, saved), 0)
  place.write(consulAt(`http://127.0.0.1:${await freePort()}`))
  const blind = place.start('--replace')
  await has(blind, 'has not answered, though the running proxy hears it')
  await serves(t, place)
  t.equal(saved.child.exitCode, null)
  blind.child.kill('SIGTERM')
  t.equal(await blind.exit, 0)
  t.notMatch(blind.out(), /listening on/)
  await serves(t, place)
  // When it is out of reach of the running one, too, an upgrade is possible all the same.
  place.write(consulAt(consul.address))
  await consul.stop()
  await has(saved, 'catalog consul is out of reach')
  const next = place.start('--replace')
  t.equal(await tookOver(saved, next), 0)
  t.match(next.out(), /answers neither this proxy nor the running one/)
  await serves(t, place)
})
