/** What a worker keeps for control: the newest word of each, so many events, and nothing that holds up a request. */
import { PassThrough } from 'node:stream'
import t from 'tap'
import { FrameReader } from '../../src/fleet/frames.ts'
import { Link } from '../../src/fleet/link.ts'
import type { ToControl, ToWorker, Word } from '../../src/fleet/messages.ts'
import { eventsMax, Teller, troublesMax } from '../../src/fleet/teller.ts'
import type { HealthEvent } from '../../src/health/event.ts'
import type { Trouble } from '../../src/proxy/options.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { eventsAt, ref } from '../fixtures/kills.ts'

function rig() {
  const clock = new FakeClock()
  const turns: (() => void)[] = []
  const teller = new Teller(clock, (fn) => void turns.push(fn))
  const stream = new PassThrough({ highWaterMark: 1 })
  const link = new Link<ToWorker, ToControl>(stream, { onMessage() {}, onRelief() {}, onClose() {} })
  // The link listens to what it wrote itself, too; here only what it writes matters.
  stream.removeAllListeners('data')
  const reader = new FrameReader()
  const sent = (): ToControl[] => {
    const bytes = stream.read() as Buffer | null
    return bytes ? (reader.push(bytes) as ToControl[]) : []
  }
  stream.pause()
  const turn = (): void => {
    for (const fn of turns.splice(0)) fn()
  }
  return { clock, teller, link, sent, turn, turns, stream, ...eventsAt(clock) }
}

const word = (key: string, cause: 'refused' | 'silence' = 'refused'): Word => ({
  key,
  life: 1,
  verdict: { kind: 'eject', cause, proven: false, certain: false },
})
const trouble = { record: { requestId: 'x' }, route: '', attempts: [] } as unknown as Trouble

t.test('what comes in one turn goes together: events first, of words the newest', async (t) => {
  const { teller, link, sent, turn, turns, ejected } = rig()
  teller.use(link)
  teller.word(word('a'))
  teller.event(ejected(ref('a')))
  teller.word(word('a', 'silence'))
  teller.word(word('b'))
  teller.trouble(trouble)
  t.equal(turns.length, 1)
  turn()
  const messages: ToControl[] = []
  for (let more = sent(); more.length > 0; more = sent()) messages.push(...more)
  t.match(messages, [
    { kind: 'events', events: [{ kind: 'ejected' }] },
    { kind: 'words', words: [word('a', 'silence'), word('b')] },
    { kind: 'troubles', troubles: [{ record: { requestId: 'x' } }] },
  ])
})

t.test('while nobody is there events wait, bounded and counted; words are forgotten', async (t) => {
  const { teller, link, sent, outcome } = rig()
  const event: HealthEvent = outcome(ref('a'), 'lost')
  for (let i = 0; i < eventsMax + 7; i++) teller.event(event)
  for (let i = 0; i < troublesMax + 3; i++) teller.trouble(trouble)
  teller.word(word('a'))
  t.equal(teller.lost, 10)
  teller.use(link)
  const messages: ToControl[] = []
  for (let more = sent(); more.length > 0; more = sent()) messages.push(...more)
  t.same(
    messages.map((message) => message.kind),
    ['events', 'troubles'],
  )
  const [first] = messages
  t.equal(first?.kind === 'events' && first.events.length, eventsMax)
})

t.test('while control does not keep up nothing is sent, and the newest is kept', async (t) => {
  const { teller, link, stream, turn, sent } = rig()
  teller.use(link)
  stream.write(Buffer.alloc(2_000_000))
  t.equal(link.pressed, true)
  for (let i = 0; i < 1_000; i++) {
    teller.word(word('a', i % 2 === 0 ? 'refused' : 'silence'))
    turn()
  }
  t.equal(stream.read(2_000_000)?.length, 2_000_000)
  t.equal(link.pressed, false)
  teller.flush()
  t.match(sent(), [{ kind: 'words', words: [word('a', 'silence')] }])
})

t.test('what is lent is copied', async (t) => {
  const { teller, link, sent } = rig()
  const record = { requestId: 'before' }
  teller.trouble({ record, route: '', attempts: [] } as unknown as Trouble)
  record.requestId = 'after'
  teller.use(link)
  t.match(sent(), [{ troubles: [{ record: { requestId: 'before' } }] }])
})
