/** The processes of a proxy with several workers that hang: they are stopped by a signal, ended by the supervisor, and replaced. */
import t from 'tap'
import { backend } from '../fixtures/app.ts'
import { isGone } from '../fixtures/command.ts'
import { kept, killNow } from '../fixtures/kept.ts'
import { until } from '../fixtures/until.ts'
import { serveWorkers, slow } from '../fixtures/workers.ts'

// They mostly wait for the end of the supervisor's patience.
t.jobs = 2
t.setTimeout(120_000)

t.test('a worker that hangs before it greets new control is ended, and all connections are served', async (t) => {
  const one = await serveWorkers(t, [await backend(t, 'hello')])
  await one.ready()
  const [control, worker] = [killNow(one.find('control')), one.find('worker --slot 0') ?? 0]
  process.kill(worker, 'SIGSTOP')
  await until(() => one.find('control') !== control && one.find('control'), slow)
  await until(() => isGone(worker), { timeoutMs: 25_000 })
  await until(() => one.said('worker 0 has said nothing for 10 s: it is ended') === 1, slow)
  await until(async () => (await one.metric('fairlead_worker_connections{worker="0"}')) !== undefined, slow)
  const all = await kept(t, one.port, 40)
  for (const each of all) t.equal(await each.ask(), 200)
})

t.test('control that hangs is replaced, and no request notices', async (t) => {
  const one = await serveWorkers(t, [await backend(t, 'hello')])
  await one.ready()
  const all = await kept(t, one.port, 8)
  const control = one.find('control') ?? 0
  process.kill(control, 'SIGSTOP')
  await until(
    async () => {
      for (const each of all) t.equal(await each.ask(), 200)
      return isGone(control)
    },
    { timeoutMs: 60_000 },
  )
  await one.ready()
  await until(() => one.said('the control process has said nothing for 30 s: it is ended') === 1, slow)
  t.not(one.find('control'), control)
  for (const each of all) t.equal(await each.ask(), 200)
})
