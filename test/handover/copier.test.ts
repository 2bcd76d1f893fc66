/** Copies of a listening socket: one queue, of which each takes a connection a turn, and what is told where they cannot be had. */
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Clock, systemClock } from '../../src/core/clock.ts'
import { createCopier } from '../../src/handover/copier.ts'
import { childrenOf } from '../fixtures/command.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { until } from '../fixtures/until.ts'

async function listening(t: Test, onConnection: () => void = () => {}): Promise<Server> {
  const server = createServer((socket) => {
    onConnection()
    socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve))
  t.teardown(() => server.close())
  return server
}

function rig(command?: readonly [string, ...string[]], clock: Pick<Clock, 'setTimer'> = systemClock) {
  const said: string[] = []
  const log = { warn: (_: object, message: string) => void said.push(message) }
  return { said, copy: createCopier({ clock, log, ...(command && { command }) }) }
}

t.test('each copy takes a connection in a turn, of the one queue', async (t) => {
  const { copy, said } = rig()
  let accepted = 0
  const count = (): void => void accepted++
  const server = await listening(t, count)
  const { port } = server.address() as AddressInfo
  const copies: Server[] = []
  copy(server, 3, (one) => {
    const more = createServer((socket) => {
      count()
      socket.destroy()
    })
    more.listen(one, 511)
    copies.push(more)
  })
  await until(() => copies.length === 3)
  t.teardown(() => copies.map((one) => one.close()))
  for (let i = 0; i < 12; i++) connect({ port, host: '127.0.0.1' }).on('error', () => {})
  const perTurn: number[] = []
  const sum = (): number => accepted
  while (sum() < 12) {
    const before = sum()
    await turn()
    if (sum() > before) perTurn.push(sum() - before)
  }
  t.same(perTurn, [4, 4, 4])
  t.same(said, [])
})

t.test('one process does all that is asked for, and then ends', async (t) => {
  const before = childrenOf(process.pid)
  const started = (): readonly number[] => childrenOf(process.pid).filter((pid) => !before.includes(pid))
  const { copy, said } = rig()
  const [one, two] = [await listening(t), await listening(t)]
  const ports: number[] = []
  const note = (server: Server): void => {
    ports.push((server.address() as AddressInfo).port)
    server.close()
  }
  copy(one, 2, note)
  copy(two, 2, note)
  copy(two, 0, note)
  t.equal(started().length, 1)
  await until(() => ports.length === 4)
  const [first, second] = [one, two].map((server) => (server.address() as AddressInfo).port)
  t.same(ports, [first, first, second, second])
  await until(() => started().length === 0, { what: 'its end' })
  t.same(said, [])
  copy(one, 1, note)
  await until(() => ports.length === 5, { what: 'another one for what comes later' })
})

t.test('all is settled when no process is left that could have a socket', async (t) => {
  const before = childrenOf(process.pid)
  const { copy } = rig()
  await copy.settled?.()
  let copies = 0
  for (const server of [await listening(t), await listening(t)])
    copy(server, 2, (one) => {
      copies++
      one.close()
    })
  await copy.settled?.()
  t.equal(copies, 4)
  t.same(
    childrenOf(process.pid).filter((pid) => !before.includes(pid)),
    [],
  )
})

t.test('a socket that is closed meanwhile is passed over', async (t) => {
  const { copy, said } = rig()
  const [one, two] = [await listening(t), await listening(t)]
  let copies = 0
  copy(one, 2, () => t.fail('a copy of what is closed'))
  one.close()
  copy(two, 2, (server) => {
    copies++
    server.close()
  })
  await until(() => copies === 2)
  t.same(said, [])
})

t.test('without the process there are no copies: that is said, and tried anew by who comes next', async (t) => {
  const server = await listening(t)
  for (const [command, why] of [
    [['/nowhere/node'], /ENOENT/],
    [[process.execPath, '-e', 'process.exit(3)'], /ended \(exit code 3\)/],
  ] as const) {
    const { copy, said } = rig(command)
    const never = (): void => void t.fail('a copy')
    copy(server, 2, never)
    copy(server, 2, never)
    await until(() => said.length === 1)
    t.match(said[0], /accepted more slowly than they could be/)
    t.match(said[0], why)
    copy(server, 1, never)
    await until(() => said.length === 2)
  }
})

t.test('one that does not answer is ended', async (t) => {
  const clock = new FakeClock()
  const { copy, said } = rig([process.execPath, '-e', "process.on('message', () => {})"], clock)
  copy(await listening(t), 2, () => t.fail('a copy'))
  await until(() => clock.pending === 1)
  clock.advance(9_999)
  t.same(said, [])
  clock.advance(1)
  await until(() => said.length === 1)
  t.match(said[0], /SIGKILL/)
  t.equal(clock.pending, 0)
})
