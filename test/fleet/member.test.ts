/** What control keeps for a worker that does not keep up: the newest of everything, in the order in which it is needed. */
import { PassThrough } from 'node:stream'
import t from 'tap'
import { FrameReader } from '../../src/fleet/frames.ts'
import { Member } from '../../src/fleet/hub.ts'
import { Link, pressureBytes } from '../../src/fleet/link.ts'
import type { ToControl, ToWorker, Word, WorkerSettings } from '../../src/fleet/messages.ts'
import { applyDelta } from '../../src/fleet/table-delta.ts'
import { emptyTable } from '../../src/table/build.ts'
import type { RouteTable } from '../../src/table/table.ts'
import { defaultWireLimits } from '../../src/wire/limits.ts'
import { endpoint, tableOf } from '../fixtures/data-plane.ts'
import { FakeTurns } from '../fixtures/turns.ts'

function rig() {
  const turns = new FakeTurns()
  const stream = new PassThrough({ highWaterMark: 1 })
  let relieved = 0
  const link = new Link<ToControl, ToWorker>(stream, { onMessage() {}, onRelief: () => relieved++, onClose() {} })
  stream.removeAllListeners('data')
  stream.pause()
  const hello = { kind: 'hello', protocol: 1, version: '', slot: 0, epoch: '', pid: 1, listeners: [] } as const
  const member = new Member(hello, link, turns.inTurn)
  const reader = new FrameReader()
  const sent = (): ToWorker[] => {
    turns.all()
    const messages: ToWorker[] = []
    for (let bytes = stream.read() as Buffer | null; bytes; bytes = stream.read() as Buffer | null)
      messages.push(...(reader.push(bytes) as ToWorker[]))
    return messages
  }
  const stall = Buffer.alloc(pressureBytes + 1)
  return {
    member,
    sent,
    turns,
    stream,
    /** The worker stops reading. */
    stop: () => void stream.write(stall),
    /** And has caught up. */
    go: () => {
      for (let left = stall.length; left > 0;) left -= (stream.read() as Buffer | null)?.length ?? 0
      member.flush()
    },
    relieved: () => relieved,
  }
}

const settings = (access: WorkerSettings['access']): WorkerSettings => ({
  limits: defaultWireLimits,
  access,
  level: 'info',
  errorPages: new Map(),
  zone: '',
})
const table = (version: number, ...handles: readonly string[]): RouteTable =>
  tableOf(
    'web',
    handles.map((handle) => endpoint({ service: 'web', handle })),
    version,
  )
const word = (key: string, cause: 'silence' | 'refused'): Word => ({
  key,
  life: 1,
  verdict: { kind: 'eject', cause, proven: false, certain: false },
})
const kinds = (messages: readonly ToWorker[]): string[] => messages.map(({ kind }) => kind)

t.test('settings, table, orders, words, listeners: in this order, whatever came first', async (t) => {
  const { member, sent } = rig()
  const order = { key: 'a', life: 1, command: { kind: 'drain', forMs: undefined, reason: '', by: 'x' } } as const
  member.listen(1, [])
  member.words([word('a', 'silence')])
  member.orders([order], true)
  t.same(sent(), [], 'nothing speaks of endpoints before there is a table')
  member.settings(settings('all'))
  member.table(table(1, 'a'))
  t.same(kinds(sent()), ['settings', 'table', 'orders', 'words', 'listen'])
  member.flush()
  t.same(sent(), [], 'each once')
})

t.test('one that does not keep up gets the newest table, once, as a change of what it has', async (t) => {
  const { member, sent, stop, go } = rig()
  const first = table(1, 'a')
  member.table(first)
  const [whole] = sent()
  stop()
  for (let version = 2; version < 1_000; version++) {
    member.table(table(version, 'a', `b${String(version)}`))
    member.words([word('a', version % 2 === 0 ? 'silence' : 'refused')])
    member.settings(settings(version % 2 === 0 ? 'all' : 'off'))
    member.say({ kind: 'beat' })
  }
  go()
  const messages = sent()
  t.same(kinds(messages), ['settings', 'table', 'words'])
  t.match(messages, [
    { settings: { access: 'off' } },
    { delta: { base: 1, version: 999 } },
    { words: [word('a', 'refused')] },
  ])
  const change = messages[1]
  if (whole?.kind !== 'table' || change?.kind !== 'table') throw new Error('no tables')
  const there = applyDelta(applyDelta(emptyTable, whole.delta), change.delta)
  t.same(there.services, table(999, 'a', 'b999').services)
})

t.test('orders wait, each of them, and one that says all takes the place of those before it', async (t) => {
  const { member, sent, stop, go } = rig()
  member.table(table(1, 'a'))
  sent()
  const order = (key: string) => ({ key, life: 1, command: { kind: 'restore', reason: '', by: 'x' } }) as const
  stop()
  member.orders([order('a')], false)
  member.orders([order('b')], true)
  member.orders([order('c')], false)
  go()
  t.same(sent(), [{ kind: 'orders', all: true, orders: [order('b'), order('c')] }])
})

t.test('the same table is not sent again', async (t) => {
  const { member, sent } = rig()
  const only = table(1, 'a')
  member.table(only)
  member.table(only)
  t.same(kinds(sent()), ['table'])
})

t.test('what one turn of the loop brings is sent in one, and nothing in that turn itself', async (t) => {
  const { member, sent, turns } = rig()
  member.table(table(1, 'a'))
  sent()
  member.words([word('b', 'silence')])
  member.table(table(2, 'a', 'b'))
  member.words([word('c', 'silence')])
  member.table(table(3, 'a', 'b', 'c'))
  t.equal(turns.waiting, 1)
  const messages = sent()
  t.match(messages, [{ delta: { base: 1, version: 3 } }, { words: [{ key: 'b' }, { key: 'c' }] }])
  t.equal(messages.length, 2, 'the table first: of whom words speak is known by then')
})

t.test('the end overtakes nothing', async (t) => {
  for (const [end, kind] of [
    ['leave', 'leave'],
    ['drain', 'drain'],
  ] as const) {
    const { member, sent, turns } = rig()
    member.table(table(1, 'a'))
    member[end](1_000)
    t.equal(turns.waiting, 1)
    t.same(kinds(sent()), ['table', kind])
  }
  const { member, sent, stream } = rig()
  member.table(table(1, 'a'))
  member.close()
  member.table(table(2, 'a', 'b'))
  t.same(kinds(sent()), ['table'])
  t.equal(stream.errored, null, 'nothing is written after the end')
})
