/** Control and its workers together: one port, one truth about endpoints, one sum of counts, and what each does alone. */
import { Agent, createServer } from 'node:http'
import { connect, createServer as createRelay, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { encodeFrame } from '../../src/fleet/frames.ts'
import { Link } from '../../src/fleet/link.ts'
import { protocol, type ToControl, type ToWorker } from '../../src/fleet/messages.ts'
import { ask, backend, type Got, type Teardown } from '../fixtures/app.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import {
  answered,
  askAll,
  type Control,
  keptConnection,
  rigFleet,
  served,
  type RunningWorker,
} from '../fixtures/fleet.ts'
import { until } from '../fixtures/until.ts'

/** A backend that can be taken away from under its connections, as a kill does. */
async function mortal(t: Teardown, body: string): Promise<{ readonly port: number; readonly die: () => void }> {
  const server = createServer((_req, res) => res.end(body))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const die = (): void => {
    server.close()
    server.closeAllConnections()
  }
  t.teardown(die)
  return { port: (server.address() as AddressInfo).port, die }
}

/** As much of a service's view as is read here. */
interface Shown {
  readonly versions: readonly { readonly endpoints: readonly { readonly handle: string; readonly port: number }[] }[]
}

/** What can be cut between a worker and control. */
function relay(t: Teardown, from: string, to: string): { readonly cut: () => void; readonly mend: () => void } {
  const sockets = new Set<Socket>()
  let isCut = false
  const server = createRelay((socket) => {
    if (isCut) return void socket.destroy()
    const onward = connect(to)
    for (const each of [socket, onward]) {
      sockets.add(each)
      each.on('error', () => {}).on('close', () => cut())
    }
    socket.pipe(onward).pipe(socket)
  }).listen(from)
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
    sockets.clear()
  }
  t.teardown(() => {
    server.close()
    cut()
  })
  return {
    cut: () => {
      isCut = true
      cut()
    },
    mend: () => {
      isCut = false
    },
  }
}

/** A worker that does as the test says. Resolves when control has welcomed it. */
async function speaker(
  t: Teardown,
  path: string,
  slot: number,
  onMessage: (message: ToWorker, answer: (message: ToControl) => void) => void,
): Promise<void> {
  const socket = await until(
    () =>
      new Promise<Socket>((resolve, reject) => {
        const made = connect(path)
        made.once('connect', () => resolve(made)).once('error', reject)
      }),
  )
  t.teardown(() => socket.destroy())
  await new Promise<void>((resolve) => {
    const link = new Link<ToWorker, ToControl>(socket, {
      onMessage: (message) => {
        if (message.kind === 'welcome') resolve()
        if (message.kind === 'drain') link.close()
        onMessage(message, (answer) => link.send(answer))
      },
      onRelief() {},
      onClose() {},
    })
    link.send({ kind: 'hello', protocol, version: '0', slot, epoch: `s${slot}`, pid: 1, listeners: [] })
  })
}

/** A connection that this worker, of several, has accepted. */
async function agentTo(
  t: Teardown,
  port: number,
  workers: readonly RunningWorker[],
  wanted: RunningWorker,
): Promise<Agent> {
  for (let n = 0; ; n++) {
    const agent = keptConnection(t)
    const id = `agent-${String(workers.indexOf(wanted))}-${String(n)}`
    await ask(port, '/', { agent, headers: { 'x-request-id': id } })
    const found = await until(() => workers.find(({ lines }) => lines.some((line) => line['id'] === id)))
    if (found === wanted) return agent
  }
}

/** Requests by control's count, and by the workers' access logs: a line may come a moment after its answer. */
const requests = (control: Control): Promise<number | undefined> =>
  control.metric('fairlead_requests_total{service="web",version="1",code="200"')
const sumOf = (workers: readonly RunningWorker[]): number => workers.reduce((sum, worker) => sum + answered(worker), 0)

const logged = ({ lines }: Pick<RunningWorker, 'lines'>, start: string): number =>
  lines.filter(({ msg }) => typeof msg === 'string' && msg.startsWith(start)).length

t.test('two workers share a port, a table and its changes, and are one in the counts', async (t) => {
  const rig = rigFleet(t, 2)
  const [one, two] = [await backend(t, 'one'), await backend(t, 'two')]
  rig.catalog([one])
  const workers = [rig.worker(0), rig.worker(1)]
  const control = rig.control()
  const port = await served(control.app)
  for (const { body } of await askAll(port, workers, 3)) t.equal(body, 'one')

  rig.catalog([two])
  await until(async () => (await ask(port)).body === 'two')
  for (const { body } of (await askAll(port, workers, 3)).slice(-3)) t.equal(body, 'two')

  t.ok(await until(async () => (await requests(control)) === sumOf(workers)))
  t.equal(await control.metric('fairlead_worker_resident_memory_bytes{worker="1"}'), 2)
  t.match(await control.json('/v1/services/web'), { inFlight: 0, versions: [{ endpoints: [{ inFlight: 0 }] }] })
  t.same(control.app.notReady(), [])
})

t.test('what one finds out all know, without a request of their own; the ledger has one death', async (t) => {
  const rig = rigFleet(t, 2)
  const [weak, strong] = [await mortal(t, 'weak'), await backend(t, 'strong')]
  rig.catalog([weak.port, strong])
  const workers = [rig.worker(0), rig.worker(1)] as const
  const control = rig.control()
  const port = await served(control.app)
  const [finder, other] = workers
  const agent = await agentTo(t, port, workers, finder)
  weak.die()
  const state = async (): Promise<string> => JSON.stringify(await control.json('/v1/services/web'))
  await until(async () => {
    t.equal((await ask(port, '/', { agent })).body, 'strong', 'no request fails')
    return (await state()).includes('"state":"ejected"')
  })
  const all = (): number => [...workers, control].reduce((sum, each) => sum + logged(each, 'endpoint ejected'), 0)
  t.equal(all(), 1, 'one of them says so, once')
  // The other has been told, and its requests meet no refusal.
  await askAll(port, [other], 6)
  for (const line of other.lines) if (line['level'] === 'access') t.equal(line['attempts'], 1)
  t.equal(all(), 1)
  t.match(await control.json('/v1/kills'), { totals: { deaths: 1, lost: 0 }, kills: [{ signal: 'refused' }] })
  t.equal(await control.metric('fairlead_endpoint_deaths_total{service="web",signal="refused"}'), 1)

  // Control alone asks whether it is back, and says so to all.
  const revived = createServer((_req, res) => res.end('revived'))
  await new Promise<void>((resolve) => revived.listen(weak.port, '127.0.0.1', resolve))
  t.teardown(() => {
    revived.closeAllConnections()
    revived.close()
  })
  await until(async () => !(await state()).includes('"state":"ejected"'))
  for (const worker of workers)
    await until(async () => (await askAll(port, [worker])).some(({ body }) => body === 'revived'))
  t.equal(logged(control, 'endpoint admitted'), 1)
})

t.test('what waits at a frozen instance is taken from it by all, though only one has found out', async (t) => {
  const rig = rigFleet(t, 2)
  const waiting = new Set<string>()
  let isFrozen = false
  const frozen = await backend(t, (req, res) => {
    if (!isFrozen) res.end('frozen')
    else if (req.method === 'GET') waiting.add(req.headers['x-request-id'] as string)
  })
  rig.catalog([frozen, await backend(t, 'strong')])
  const control = rig.control()
  await until(() => control.app.addresses().admin)
  // Its time stands still: it suspects nobody, and does what it is told.
  const time = new FakeClock()
  const workers = [rig.worker(0), rig.worker(1, 'control', time)] as const
  const port = await served(control.app)
  const agents = await Promise.all(workers.map((worker) => agentTo(t, port, workers, worker)))
  isFrozen = true
  // The last that it heard from it is long ago.
  time.advance(1_000)
  // One request of each gets stuck there, first of the one that cannot find out; whatever goes elsewhere is answered.
  const stuck: Promise<Got>[] = []
  for (const [i, agent] of agents.toReversed().entries())
    for (let n = 0; stuck.length <= i; n++) {
      const id = `r-${String(i)}-${String(n)}`
      let isDone = false
      const got = ask(port, '/', { agent, headers: { 'x-request-id': id } }).finally(() => (isDone = true))
      await until(() => isDone || waiting.has(id))
      if (!isDone) stuck.push(got)
    }
  for (const got of stuck) t.match(await got, { status: 200, body: 'strong' })
  t.equal(logged(workers[0], 'endpoint ejected'), 1)
  t.equal(logged(workers[1], 'endpoint ejected'), 0)
  const kills = (): Promise<unknown> => control.json('/v1/kills')
  await until(async () => JSON.stringify(await kills()).includes('"rescued":2'))
  t.match(await kills(), { totals: { deaths: 1, rescued: 2, lost: 0 }, kills: [{ signal: 'silence', inFlight: 2 }] })
})

t.test('periodic probes are sent by control, for all', async (t) => {
  const rig = rigFleet(t, 2)
  let isWell = true
  const weak = await backend(t, (req, res) => {
    res.statusCode = req.url === '/up' && !isWell ? 500 : 200
    res.end('weak')
  })
  rig.catalog([weak, await backend(t, 'strong')])
  const workers = [rig.worker(0), rig.worker(1)]
  const control = rig.control({ more: 'defaults: { health: { http: /up, interval: 200ms, timeout: 100ms } }\n' })
  const port = await served(control.app)
  await askAll(port, workers)
  isWell = false
  await until(async () => JSON.stringify(await control.json('/v1/services/web')).includes('"cause":"probe"'))
  for (const worker of workers)
    await until(async () => (await askAll(port, [worker], 8)).every(({ body }) => body === 'strong'))
  isWell = true
  for (const worker of workers)
    await until(async () => (await askAll(port, [worker], 8)).some(({ body }) => body === 'weak'))
  for (const worker of workers) t.equal(logged(worker, 'endpoint'), 0, 'they only did as they were told')
  t.equal(logged(control, 'endpoint ejected'), 1)
})

t.test('requests that had trouble are known to control, and so are orders to workers', async (t) => {
  const rig = rigFleet(t, 2)
  const [weak, strong] = [await mortal(t, 'weak'), await backend(t, 'strong')]
  rig.catalog([weak.port, strong])
  const workers = [rig.worker(0), rig.worker(1)]
  const control = rig.control()
  const port = await served(control.app)
  const headers = { 'x-request-id': 'troubled-1' }
  weak.die()
  await until(async () => {
    await ask(port, '/', { headers })
    return (await ask(control.admin(), '/v1/requests/troubled-1')).status === 200
  })
  t.match(await control.json('/v1/requests/troubled-1'), { attempts: [{ outcome: 'retried', reason: 'refused' }, {}] })

  const { versions } = (await control.json('/v1/services/web')) as Shown
  const handle = versions[0]?.endpoints.find(({ port: at }) => at === strong)?.handle
  t.equal(await control.post(`/v1/endpoints/${String(handle)}/eject`, { for: '10m', reason: 'test' }), 200)
  for (const worker of workers)
    await until(async () => (await askAll(port, [worker])).at(-1)?.status === 503, { what: 'the order at a worker' })
  t.equal(await control.metric('fairlead_ejections_total{service="web",cause="operator"}'), 1, 'it counts once')
  t.equal(
    [...workers, control].reduce((sum, each) => sum + logged(each, 'endpoint ejected by an operator'), 0),
    1,
  )

  // One that comes later is told, too.
  workers[0]?.worker.stop()
  await workers[0]?.drained
  const late = rig.worker(0)
  await until(async () => (await askAll(port, [late])).length > 0)
  t.ok(late.lines.every((line) => line['level'] !== 'access' || line['status'] === 503))
  t.equal(await control.post(`/v1/endpoints/${String(handle)}/restore`), 200)
  await until(async () => (await askAll(port, [late])).at(-1)?.body === 'strong')
})

t.test('a worker that ends leaves its counts, and another takes its place', async (t) => {
  const rig = rigFleet(t, 2)
  rig.catalog([await backend(t, 'x')])
  const [first, second] = [rig.worker(0), rig.worker(1)]
  const control = rig.control()
  const port = await served(control.app)
  await askAll(port, [first, second], 2)
  const count = (): Promise<number | undefined> => requests(control)
  t.ok(await until(async () => (await count()) === sumOf([first, second])))
  const before = await count()
  first.worker.stop()
  await first.drained
  await until(() => logged(control, 'worker 0 has gone') === 1)
  t.equal(await count(), before, 'what it counted stays')
  t.equal(await control.metric('fairlead_worker_connections{worker="0"}'), undefined)
  t.equal((await ask(port)).status, 200)
  const third = rig.worker(0)
  await askAll(port, [third], 2)
  t.ok(await until(async () => (await count()) === sumOf([first, second, third])))
})

t.test('without control they serve and notice deaths; control that returns learns what they know', async (t) => {
  const rig = rigFleet(t, 2)
  const [weak, strong] = [await mortal(t, 'weak'), await backend(t, 'strong')]
  rig.catalog([weak.port, strong])
  const workers = [rig.worker(0), rig.worker(1)]
  const control = rig.control()
  const port = await served(control.app)
  await askAll(port, workers, 2)
  rig.kill(control)
  for (const worker of workers) await until(() => logged(worker, 'control is away') === 1)
  weak.die()
  for (const { status } of await askAll(port, workers, 12)) t.equal(status, 200)
  for (const worker of workers) await until(() => logged(worker, 'endpoint ejected') === 1)

  // Control that begins anew knows nothing before its catalog answers, and tells nobody of that.
  const waiting = rig.control({ catalog: '{ consul: { address: "http://127.0.0.1:1" } }' })
  await until(() => logged(waiting, 'worker') === 2)
  for (const { status } of await askAll(port, workers, 2)) t.equal(status, 200)
  t.not(waiting.app.notReady().length, 0)
  rig.kill(waiting)
  for (const worker of workers) await until(() => logged(worker, 'control is away') === 2)

  const again = rig.control()
  t.equal(await served(again.app), port, 'a port that the system chose stays')
  await until(async () => JSON.stringify(await again.json('/v1/services/web')).includes('"state":"ejected"'))
  t.equal((await askAll(port, workers, 6)).filter(({ status }) => status !== 200).length, 0)
  t.ok(await until(async () => (await requests(again)) === sumOf(workers)))
})

t.test('orders outlive control', async (t) => {
  const rig = rigFleet(t, 2)
  const one = await backend(t, 'one')
  rig.catalog([one])
  const workers = [rig.worker(0), rig.worker(1)]
  const control = rig.control()
  const port = await served(control.app)
  const { versions } = (await control.json('/v1/services/web')) as Shown
  const handle = String(versions[0]?.endpoints[0]?.handle)
  await control.post(`/v1/endpoints/${handle}/eject`, { reason: 'stays' })
  await until(async () => (await askAll(port, workers)).every(({ status }) => status === 503))
  rig.kill(control)
  for (const worker of workers) await until(() => logged(worker, 'control is away') === 1)
  t.equal((await ask(port)).status, 503)
  const again = rig.control()
  await served(again.app)
  await until(async () => JSON.stringify(await again.json(`/v1/endpoints/${handle}`)).includes('"reason":"stays"'))
  for (const { status } of await askAll(port, workers, 2)) t.equal(status, 503)
  t.equal(await again.post(`/v1/endpoints/${handle}/restore`), 200)
  await until(async () => (await askAll(port, workers)).every(({ status }) => status === 200))
})

t.test('what is lifted while a worker is away is lifted there when it is back', async (t) => {
  const rig = rigFleet(t, 1)
  rig.catalog([await backend(t, 'one')])
  const between = relay(t, join(rig.folder, 'relay'), join(rig.folder, 'control'))
  rig.worker(0, 'relay')
  const control = rig.control()
  const port = await served(control.app)
  const { versions } = (await control.json('/v1/services/web')) as Shown
  const handle = String(versions[0]?.endpoints[0]?.handle)
  await control.post(`/v1/endpoints/${handle}/drain`)
  await until(async () => (await ask(port)).status === 503)
  between.cut()
  await until(() => logged(control, 'worker 0 has gone') === 1)
  await control.post(`/v1/endpoints/${handle}/restore`)
  between.mend()
  await until(async () => (await ask(port)).status === 200)
})

t.test('an address that cannot be had is told with its reason, and listeners stay as they were', async (t) => {
  const rig = rigFleet(t, 2)
  rig.catalog([await backend(t, 'x')])
  const workers = [rig.worker(0), rig.worker(1)]
  const control = rig.control()
  const port = await served(control.app)
  const plane = control.app.dataPlane()
  const taken = await backend(t, 'somebody else')
  const [listener] = plane.addresses()
  if (!listener) return
  const wanted = [
    { ...listener, trust: [] },
    { name: 'more', host: '127.0.0.1', port: taken, trust: [] },
  ]
  await t.rejects(plane.listen(wanted), { code: 'FL_LISTEN', message: /it is in use \(EADDRINUSE\)/ })
  t.same(plane.addresses(), [listener])
  await askAll(port, workers)
  const more = await plane.listen([
    { ...listener, trust: [] },
    { name: 'more', host: '127.0.0.1', port: 0, trust: [] },
  ])
  await askAll(more[1]?.port ?? 0, workers)
})

t.test('where one worker cannot listen, none does', async (t) => {
  const rig = rigFleet(t, 2)
  rig.catalog([])
  const control = rig.control()
  const heard: string[][] = []
  const speaks = (slot: number, isAble: (names: readonly string[]) => boolean): Promise<void> =>
    speaker(t, join(rig.folder, 'control'), slot, (message, answer) => {
      if (message.kind !== 'listen') return
      const names = message.listeners.map(({ name }) => name)
      heard.push([String(slot), ...names])
      const error = isAble(names) ? undefined : 'no room here'
      answer({
        kind: 'listening',
        id: message.id,
        addresses: error ? [] : message.listeners.map((each) => ({ ...each, port: 7 })),
        error,
      })
    })
  await speaks(0, () => true)
  await speaks(1, (names) => !names.includes('more'))
  await served(control.app)
  const plane = control.app.dataPlane()
  const before = plane.addresses()
  const [name = ''] = before.map((each) => each.name)
  const more = { name: 'more', host: '127.0.0.1', port: 9, trust: [] }
  heard.splice(0)
  await t.rejects(plane.listen([...before.map((each) => ({ ...each, trust: [] })), more]), { message: 'no room here' })
  t.same(plane.addresses(), before)
  t.same(heard, [
    ['0', name, 'more'],
    ['1', name, 'more'],
    ['0', name],
    ['1', name],
  ])
})

t.test('a worker of another version is turned away', async (t) => {
  const rig = rigFleet(t, 1)
  rig.catalog([])
  const control = rig.control()
  const stranger = connect(join(rig.folder, 'control'))
  t.teardown(() => stranger.destroy())
  await new Promise((resolve) => stranger.once('connect', resolve))
  const hello = { kind: 'hello', protocol: 0, version: '9', slot: 0, epoch: 'x', pid: 1, listeners: [] }
  stranger.write(encodeFrame(hello))
  await new Promise((resolve) => stranger.once('close', resolve))
  t.equal(logged(control, 'worker 0 runs version 9 and this is 0'), 1)
})

t.test('the end: control tells workers, waits for them, and they for what runs', async (t) => {
  const rig = rigFleet(t, 2)
  const asked = Promise.withResolvers<void>()
  const release = Promise.withResolvers<void>()
  rig.catalog([
    await backend(t, (_req, res) => {
      asked.resolve()
      void release.promise.then(() => res.end('late'))
    }),
  ])
  const workers = [rig.worker(0), rig.worker(1)]
  const control = rig.control()
  const port = await served(control.app)
  const got = ask(port)
  await asked.promise
  const stopped = control.app.stop()
  for (const worker of workers) await until(() => logged(worker, 'no new connections') === 1)
  release.resolve()
  t.equal((await got).body, 'late')
  await Promise.all([stopped, ...workers.map(({ drained }) => drained)])
  t.equal(logged(control, 'stopped'), 1)
  t.equal(await ask(port).catch(({ code }: NodeJS.ErrnoException) => code), 'ECONNREFUSED')
})

t.test('workers tell clients to go elsewhere when control does', async (t) => {
  const rig = rigFleet(t, 1)
  rig.catalog([await backend(t, 'ok')])
  rig.worker(0)
  const control = rig.control()
  const port = await served(control.app)
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  t.not((await ask(port, '/', { agent })).headers.connection, 'close')
  control.app.dataPlane().leave()
  await until(async () => (await ask(port, '/', { agent })).headers.connection === 'close')
})
