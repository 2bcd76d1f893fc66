/** An upgrade in place whose one side hangs: it is stopped by a signal at a known moment. */
import { join } from 'node:path'
import t from 'tap'
import { adminAnswers, asked, has, isHelped, serves, upgrade } from '../fixtures/held-upgrade.ts'
import { childrenOf, isGone } from '../fixtures/command.ts'
import { placeOf, ready, slow, tookOver } from '../fixtures/upgrade.ts'
import { until } from '../fixtures/until.ts'

if (process.platform !== 'linux') t.bailout('sockets are handed over on Linux only')
// They mostly wait for the end of somebody's patience.
t.jobs = 6

for (const workers of [1, 2]) {
  t.test(`the running one hangs before anything is taken: said, and ended; workers: ${workers}`, async (t) => {
    const { place, old } = await upgrade(t, workers)
    const pid = asked(old, workers)
    process.kill(pid, 'SIGSTOP')
    const next = place.start('--replace')
    t.equal(await next.exit, 1)
    t.match(next.err(), /the running proxy does not answer: it hangs, or it is stopped/)
    process.kill(pid, 'SIGCONT')
    await serves(t, place)
    // It went on, and can be upgraded as ever once it has found that nobody is there any more who came meanwhile.
    await until(() => !isHelped(pid), slow)
    const good = place.start('--replace')
    t.equal(await tookOver(old, good), 0)
    await serves(t, place)
  })

  t.test(`the running one hangs when it is told to go: the new one serves; workers: ${workers}`, async (t) => {
    const folder = await placeOf(t, 0, '')
    const socket = join(folder.folder, 'admin.sock')
    const { place, old, held, go } = await upgrade(t, workers, `admin: { address: "unix:${socket}" }\n`)
    const next = await held()
    const pid = asked(old, workers)
    process.kill(pid, 'SIGSTOP')
    go()
    await has(next, 'does not say that it ends: it hangs, or it is stopped')
    t.equal(next.child.exitCode, null)
    await serves(t, place)
    process.kill(pid, 'SIGCONT')
    t.equal(await tookOver(old, next), 0)
    await until(() => adminAnswers(socket), slow)
    await serves(t, place)
    t.equal(next.child.exitCode, null)
  })

  t.test(`the new one is killed while the one that hangs is told to go: it goes on; workers: ${workers}`, async (t) => {
    const { place, old, held, go } = await upgrade(t, workers)
    const next = await held()
    const pid = asked(old, workers)
    process.kill(pid, 'SIGSTOP')
    go()
    await has(next, 'does not say that it ends: it hangs, or it is stopped')
    const family = [...childrenOf(next.pid), next.pid]
    for (const each of family) process.kill(each, 'SIGKILL')
    await until(() => family.every(isGone) && !isHelped(pid), slow)
    process.kill(pid, 'SIGCONT')
    await ready(place, old)
    await serves(t, place)
    await until(() => !isHelped(pid), slow)
    const good = place.start('--replace')
    t.equal(await tookOver(old, good), 0)
    t.equal(old.out().includes('another process takes over'), true)
    t.equal(old.out().split('another process takes over').length, 2, 'once, for the one that lives')
    await serves(t, place)
  })
}
