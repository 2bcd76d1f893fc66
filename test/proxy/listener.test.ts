import { connect, createServer } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { systemClock } from '../../src/core/clock.ts'
import type { CopySocket } from '../../src/core/inherit.ts'
import { silentLogger } from '../../src/core/log.ts'
import { seededRandom } from '../../src/core/random.ts'
import { createCopier } from '../../src/handover/copier.ts'
import { acceptsPerTurn, Listener, type ListenerHost } from '../../src/proxy/listener.ts'
import type { ListenerOptions } from '../../src/proxy/options.ts'
import { Deadlines } from '../../src/wire/deadlines.ts'
import { createDataPlane } from '../../src/proxy/data-plane.ts'
import { defaultWireLimits } from '../../src/wire/limits.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { get, withRig } from '../fixtures/plane-parts.ts'
import { type BackendScript, okAnswer } from '../fixtures/raw-backend.ts'
import { RawClient } from '../fixtures/raw-client.ts'
import type { Rig } from '../fixtures/rig.ts'
import { until } from '../fixtures/until.ts'
import { value } from '../fixtures/wire-message.ts'

const silent: BackendScript = { onRequest: () => undefined }

/** The listener that the rig opened. */
const first: ListenerOptions = { name: 'test', host: '127.0.0.1', port: 0, trust: [] }

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise<void>((resolve) => server.close(() => resolve()))
  if (typeof address !== 'object' || address === null) throw new Error('no port')
  return address.port
}

function refuses(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', () => resolve(true))
  })
}

t.test('a listener that is wanted again is the same socket', async (t) => {
  await withRig({}, async (rig) => {
    const client = await rig.client()
    await client.send(get())
    await client.answer()
    const addresses = await rig.plane.listen([first, { name: 'more', host: '127.0.0.1', port: 0, trust: [] }])
    t.equal(addresses.length, 2)
    t.match(addresses[0], { name: 'test', host: '127.0.0.1', port: rig.port })
    t.strictSame(rig.plane.addresses(), addresses)
    await client.send(get())
    t.equal((await client.answer()).status, 200, 'and its connections stay')
    const other = await RawClient.open(addresses[1]?.port ?? 0)
    await other.send(get())
    t.equal((await other.answer()).status, 200)
    other.destroy()
  })
})

t.test('another host or another port is another socket', async (t) => {
  await withRig({}, async (rig) => {
    const [elsewhere] = await rig.plane.listen([{ ...first, host: '127.0.0.2' }])
    t.equal(elsewhere?.host, '127.0.0.2')
    const port = await freePort()
    const [moved] = await rig.plane.listen([{ ...first, host: '127.0.0.2', port }])
    t.equal(moved?.port, port)
  })
})

t.test('one of several connections of a client that ends makes room for one', async (t) => {
  await withRig({ limits: { connectionsPerClient: 3 } }, async (rig) => {
    const open = await Promise.all([0, 1, 2].map(() => rig.client()))
    await until(() => rig.load.open === 3)
    open[0]?.destroy()
    await until(() => rig.load.open === 2)
    const fourth = await rig.client()
    await fourth.send(get())
    t.equal((await fourth.answer()).status, 200)
    const fifth = await rig.client()
    await fifth.wait('the end', () => !fifth.open)
    t.equal(fifth.received, '')
  })
})

t.test('a listener that is not wanted any more closes; what runs on it finishes', async (t) => {
  const clock = new FakeClock()
  await withRig({ backend: silent, clock }, async (rig) => {
    const idle = await rig.client()
    const busy = await rig.client()
    await busy.send(get('/busy'))
    await until(() => rig.backend.requests.length === 1)
    const addresses = await rig.plane.listen([{ ...first, name: 'another' }])
    t.equal(addresses.length, 1)
    t.not(addresses[0]?.port, rig.port)
    t.ok(await refuses(rig.port))
    clock.advance(1_050)
    await idle.closedByPeer()
    t.equal(rig.plane.figures().downstream.open >= 1, true, 'the busy one still counts')
    await rig.connection.send(okAnswer)
    const answer = await busy.answer()
    t.equal(answer.body, 'ok')
    t.equal(value(answer.fields, 'connection'), 'close')
    await busy.closedByPeer()
  })
})

t.test('all or nothing', async (t) => {
  await withRig({}, async (rig) => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const address = taken.address()
    if (typeof address !== 'object' || address === null) throw new Error('no port')
    const free = await freePort()
    const wanted: ListenerOptions[] = [
      { name: 'new', host: '127.0.0.1', port: free, trust: [] },
      { name: 'clash', host: '127.0.0.1', port: address.port, trust: [] },
    ]
    const client = await rig.client()
    await t.rejects(rig.plane.listen(wanted), {
      code: 'FL_LISTEN',
      message: `the listener 127.0.0.1:${address.port} (clash) cannot be opened: it is in use (EADDRINUSE); the setting listen[].address moves it`,
    })
    t.match(rig.plane.addresses(), [{ name: 'test', port: rig.port }], 'what was open stays as it was')
    await client.send(get())
    t.equal((await client.answer()).status, 200)
    await until(() => refuses(free), { what: 'what was opened on the way closes' })
    await new Promise<void>((resolve) => taken.close(() => resolve()))
    t.equal((await rig.plane.listen(wanted)).length, 2, 'and it works once it can')
  })
})

t.test('an address that is not of this machine is said', async (t) => {
  await withRig({}, async (rig) => {
    await t.rejects(rig.plane.listen([{ ...first, name: 'odd', host: '203.0.113.1' }]), {
      code: 'FL_LISTEN',
      message: /odd/,
    })
    t.match(rig.plane.addresses(), [{ port: rig.port }])
  })
})

t.test('other trust is for connections from now on, on the same socket', async (t) => {
  await withRig({}, async (rig) => {
    const port = await freePort()
    const options = { name: 'fixed', host: '127.0.0.1', port, trust: [] }
    await rig.plane.listen([options])
    const before = await RawClient.open(port)
    await before.send(get('/', 'X-Forwarded-For: 9.9.9.9'))
    await before.answer()
    t.match(await rig.plane.listen([{ ...options, name: 'renamed', trust: ['127.0.0.0/8'] }]), [
      { name: 'renamed', port },
    ])
    const after = await RawClient.open(port)
    for (const client of [after, before]) {
      await client.send(get('/', 'X-Forwarded-For: 9.9.9.9'))
      await client.answer()
    }
    const chains = rig.requests.map((request) => value(request.fields, 'x-forwarded-for'))
    t.strictSame(chains, ['127.0.0.1', '9.9.9.9, 127.0.0.1', '127.0.0.1'])
    before.destroy()
    after.destroy()
  })
})

/** Whether a new connection is served; one that is not is closed without a byte. */
async function served(rig: Rig, from = '127.0.0.1'): Promise<RawClient | undefined> {
  const client = await rig.client(from)
  await client.send(get())
  await client.wait('an answer or the end', () => client.received.length > 0 || !client.open)
  if (client.received === '') return undefined
  await client.answer()
  return client
}

t.test('as many connections as may be', async (t) => {
  await withRig({ limits: { connections: 2 } }, async (rig) => {
    const one = await served(rig)
    t.ok(one)
    t.ok(await served(rig))
    t.notOk(await served(rig))
    t.equal(rig.plane.figures().downstream.open, 2)
    one?.end()
    await until(() => rig.plane.figures().downstream.open === 1)
    t.ok(await served(rig), 'a place that is left is free again')
  })
})

t.test('as many connections of one client as may be', async (t) => {
  await withRig({ limits: { connectionsPerClient: 1 } }, async (rig) => {
    const one = await served(rig)
    t.ok(one)
    t.notOk(await served(rig))
    t.ok(await served(rig, '127.0.0.2'), 'another client is another matter')
    t.notOk(await served(rig, '127.0.0.2'))
    one?.abort()
    await until(() => rig.plane.figures().downstream.open === 1)
    t.ok(await served(rig))
  })
})

/** Copies sockets as they are in the proxy, and counts. */
function copier(after: () => void = () => {}): { readonly copySocket: CopySocket; readonly copies: () => number } {
  const copy = createCopier({ clock: systemClock, log: silentLogger })
  let count = 0
  const copySocket: CopySocket = (server, wanted, onCopy) =>
    copy(server, wanted, (one) => {
      onCopy(one)
      count++
      after()
    })
  return { copySocket: Object.assign(copySocket, { settled: copy.settled }), copies: () => count }
}

t.test('many that come at once are accepted many in a turn, and all are counted', async (t) => {
  const { copySocket, copies } = copier()
  const room = 2 * acceptsPerTurn
  await withRig({ copySocket, limits: { connections: room } }, async ({ plane, port }) => {
    await until(() => copies() === acceptsPerTurn - 1)
    const open = (): number => plane.figures().downstream.open
    // All stand in the queue before the next turn; half as many more than may be.
    const sockets = Array.from({ length: 3 * acceptsPerTurn }, () => connect({ port, host: '127.0.0.1' }))
    for (const socket of sockets) socket.on('error', () => {})
    const perTurn: number[] = []
    while (open() < room) {
      const before = open()
      await turn()
      if (open() > before) perTurn.push(open() - before)
    }
    t.same(perTurn, [acceptsPerTurn, acceptsPerTurn])
    await until(() => sockets.filter((socket) => socket.readableEnded).length === acceptsPerTurn)
    t.equal(open(), room, 'the rest is sent away')
    await plane.listen([first])
    t.equal(copies(), acceptsPerTurn - 1, 'what stays has what it has')
    for (const socket of sockets) socket.destroy()
  })
})

t.test('what closes is closed with all its copies, and with those that come later', async () => {
  for (const late of [false, true]) {
    let rig: Rig | undefined
    const { copySocket, copies } = copier(() => {
      if (late) void rig?.plane.drain(1_000)
    })
    await withRig({ copySocket }, async (opened) => {
      rig = opened
      await until(() => copies() === (late ? 1 : acceptsPerTurn - 1))
      if (!late) await rig.plane.listen([{ ...first, name: 'another' }])
      // The process that copies has one too until it has sent it, and is told nothing.
      await until(() => refuses(opened.port), { what: 'the last copy is closed' })
    })
  }
})

t.test('an address that was left while its socket was copied can be had again at once', async (t) => {
  const one: ListenerOptions = { ...first, name: 'one', port: await freePort() }
  const { copySocket, copies } = copier()
  await withRig({ copySocket }, async ({ plane }) => {
    await until(() => copies() === acceptsPerTurn - 1)
    await plane.listen([first, one])
    // By now the socket is on its way to the process that copies.
    await plane.listen([first])
    await plane.listen([first, one])
    t.match(
      plane.addresses(),
      [{ name: 'test' }, one].map(({ name }) => ({ name })),
    )
    await until(() => copies() >= 2 * (acceptsPerTurn - 1))
  })
})

t.test('an address that somebody else has is refused, whatever is copied', async (t) => {
  const { copySocket } = copier()
  await withRig({ copySocket }, async ({ plane, backend }) => {
    await t.rejects(plane.listen([first, { ...first, name: 'one', port: backend.port }]), { code: 'FL_LISTEN' })
    t.equal(plane.addresses().length, 1)
  })
})

t.test('whose words on forwarding are believed', async (t) => {
  const host: ListenerHost = {
    deadlines: new Deadlines(new FakeClock()),
    limits: defaultWireLimits,
    sharesPorts: false,
    createExchange: () => {
      throw new Error('nobody comes')
    },
    admit: () => false,
    release: () => undefined,
    warn: () => undefined,
  }
  for (const [trust, address, wanted] of [
    [[], '127.0.0.1', false],
    [['10.0.0.0/8'], '10.255.0.1', true],
    [['10.0.0.0/8'], '11.0.0.1', false],
    [['10.0.0.0/8'], '::ffff:10.0.0.1', true],
    [['10.1.2.3'], '10.1.2.3', true],
    [['10.1.2.3'], '10.1.2.4', false],
    [['0.0.0.0/0'], '1.2.3.4', true],
    [['0.0.0.0/0'], '::1', false],
    [['fd00::/8'], 'fd12::1', true],
    [['fd00::/8'], 'fe80::1', false],
    [['fe80::/10'], 'fe80::1%eth0', true],
    [['10.0.0.0/8', '::1'], '::1', true],
    [['10.0.0.0/8'], 'unknown', false],
    [['10.0.0.0/8'], '', false],
  ] as const) {
    const listener = new Listener(host, { ...first, trust })
    t.equal(listener.trusts(address), wanted, `${trust.join()} and ${address}`)
    listener.destroy()
  }
})

t.test('without listeners there is nothing to drain or destroy', async (t) => {
  const clock = new FakeClock()
  const options = { clock, random: seededRandom(1), log: silentLogger, limits: defaultWireLimits, observer: undefined }
  const plane = createDataPlane(options)
  t.strictSame(await plane.listen([]), [])
  await plane.drain(1_000)
  plane.destroy()
  t.equal(clock.pending, 0)
})
