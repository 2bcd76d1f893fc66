/** What drains by documents do with time: they end, are removed when they are over, and leave no order behind. */
import t from 'tap'
import {
  createSharedDrains,
  cleanEveryMs,
  goneForMs,
  overForMs,
  type SharedDrains,
} from '../../src/app/shared-drains.ts'
import { silentLogger } from '../../src/core/log.ts'
import type { EndpointState } from '../../src/live/runtime.ts'
import { encodeDrain } from '../../src/policy/kv/drain-document.ts'
import { decodeDocuments } from '../../src/policy/kv/decode-documents.ts'
import type { KvStore, WriteResult } from '../../src/policy/kv/kv-store.ts'
import { type DocumentSettings, parseDocument } from '../../src/policy/layers.ts'
import type { DataPlane, OperatorCommand } from '../../src/proxy/options.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'

const instance = ['consul', 'n1', 'shop', 'shop-0', '10.0.0.7', '8080'].join('\u001f')
const life = 7

class Rig {
  readonly clock = new FakeClock()
  readonly commands: OperatorCommand[] = []
  readonly deleted: unknown[] = []
  answer: WriteResult = { kind: 'written', modifyIndex: undefined }
  source = 'kv:fairlead'
  isHere = true
  readonly state = { key: instance, life, order: undefined } as unknown as EndpointState
  readonly drains: SharedDrains
  #documents: ReturnType<typeof decodeDocuments<DocumentSettings>> | undefined
  #index = 10

  constructor(t: { teardown(fn: () => void): unknown }) {
    const plane: Pick<DataPlane, 'operate' | 'stateOf' | 'figures'> = {
      stateOf: (key, of) => (this.isHere && key === instance && of === life ? this.state : undefined),
      operate: (_key, _life, command) => {
        this.commands.push(command)
        const { kind, by, reason } = command
        this.state.order =
          kind === 'restore'
            ? undefined
            : { kind, by, reason, sinceMs: 0, wallMs: 0, untilMs: Infinity, document: command.document }
        return 'done'
      },
      figures: () => ({ endpoints: [this.state] }) as unknown as ReturnType<DataPlane['figures']>,
    }
    const store = {
      delete: async (key: string, options: object) => {
        this.deleted.push([key, options])
        return this.answer
      },
    } as unknown as KvStore
    this.drains = createSharedDrains({
      clock: this.clock,
      log: silentLogger,
      plane,
      policies: { outside: () => ({ source: this.source, documents: this.#documents }), store: () => store },
    })
    t.teardown(() => this.drains.stop())
  }

  /** The documents are these now, by handle: when each ends. */
  say(drains: Readonly<Record<string, number | undefined>>): void {
    const texts = Object.entries(drains).map(([name, untilMs]) => {
      const settings = encodeDrain({ key: instance, life, untilMs })
      const key = `drains/${name}`
      const text = JSON.stringify({ revision: 1, by: 'alice', at: '2026-11-26T07:00:00Z', settings })
      return [key, { key, text, modifyIndex: ++this.#index }] as const
    })
    this.#documents = decodeDocuments('kv:fairlead', new Map(texts), parseDocument, undefined)
    this.drains.reconcile()
  }

  /** As after another source was configured. */
  forget(): void {
    this.#documents = undefined
    this.drains.reconcile()
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= cleanEveryMs) {
      this.clock.advance(Math.min(left, cleanEveryMs))
      await new Promise(setImmediate)
    }
  }
}

t.test('a drain is given what is left of its time, and one that is over is not given', async (t) => {
  const rig = new Rig(t)
  rig.say({ a: rig.clock.wall() + 5_000 })
  t.match(rig.commands, [{ kind: 'drain', forMs: 5_000, by: 'alice', document: 'kv:fairlead/drains/a' }])
  rig.state.order = undefined
  rig.clock.advance(4_000)
  rig.drains.reconcile()
  t.match(rig.commands[1], { kind: 'drain', forMs: 1_000 }, 'an order that was ended here is given anew')
  rig.state.order = undefined
  rig.clock.advance(1_000)
  rig.drains.reconcile()
  t.equal(rig.commands.length, 2)
})

t.test('a document that went lifts its order, and no other', async (t) => {
  const rig = new Rig(t)
  rig.say({ a: undefined })
  rig.say({})
  t.match(rig.commands, [{ kind: 'drain', forMs: undefined }, { kind: 'restore' }])
  rig.say({ a: undefined })
  rig.state.order = {
    kind: 'eject',
    by: 'x',
    reason: '',
    sinceMs: 0,
    wallMs: 0,
    untilMs: Infinity,
    document: undefined,
  }
  rig.drains.reconcile()
  t.equal(rig.commands.length, 3, 'what was ordered here later stands above it')
  rig.say({})
  t.match(rig.state.order, { kind: 'eject' })
  rig.say({ a: undefined, b: undefined })
  rig.say({ b: undefined })
  t.match(rig.state.order, { kind: 'drain', document: 'kv:fairlead/drains/b' }, 'another one still holds')
})

t.test('without a source nothing is drained; one that has not answered changes nothing', async (t) => {
  const rig = new Rig(t)
  rig.drains.reconcile()
  t.equal(rig.commands.length, 0)
  rig.say({ a: undefined })
  rig.forget()
  t.match(rig.state.order, { kind: 'drain' }, 'one that has not answered yet')
  rig.source = ''
  rig.drains.reconcile()
  t.equal(rig.state.order, undefined)
})

t.test('a document is removed a while after its end, at the index it was read at', async (t) => {
  const rig = new Rig(t)
  rig.say({ a: rig.clock.wall() + 1_000, b: undefined })
  await rig.pass(overForMs)
  t.same(rig.deleted, [])
  await rig.pass(cleanEveryMs)
  t.match(rig.deleted, [['drains/a', { cas: 11 }]])
})

t.test('and when its registration has been gone for long', async (t) => {
  const rig = new Rig(t)
  rig.say({ a: undefined })
  rig.isHere = false
  rig.drains.reconcile()
  await rig.pass(goneForMs - cleanEveryMs)
  rig.isHere = true
  rig.drains.reconcile()
  await rig.pass(2 * cleanEveryMs)
  t.same(rig.deleted, [], 'it came back')
  rig.isHere = false
  rig.drains.reconcile()
  await rig.pass(goneForMs + cleanEveryMs)
  t.match(rig.deleted[0], ['drains/a', { cas: 11 }])
})

t.test('a token that may not delete is tried once', async (t) => {
  const rig = new Rig(t)
  rig.answer = { kind: 'refused', message: 'no' }
  rig.say({ a: rig.clock.wall() + 1_000 })
  await rig.pass(overForMs + 10 * cleanEveryMs)
  t.equal(rig.deleted.length, 1)
})

t.test('an order whose document is not there is lifted: worker processes outlive the one that knew it', async (t) => {
  const rig = new Rig(t)
  rig.state.order = {
    kind: 'drain',
    by: 'alice',
    reason: '',
    sinceMs: 0,
    wallMs: 0,
    untilMs: Infinity,
    document: 'kv:fairlead/drains/gone',
  }
  await rig.pass(2 * cleanEveryMs)
  t.match(rig.state.order, { kind: 'drain' }, 'while nothing is known of documents it stands')
  rig.say({})
  await rig.pass(cleanEveryMs)
  t.equal(rig.state.order, undefined)
})

t.test('who waits for a change is told of it, or no, in time', async (t) => {
  const rig = new Rig(t)
  const changed = rig.drains.changed('a', undefined)
  rig.say({ a: undefined })
  t.equal(await changed, true)
  t.equal(await rig.drains.changed('a', undefined), true)
  const never = rig.drains.changed('a', rig.drains.indexOf('a'))
  rig.clock.advance(2_000)
  t.equal(await never, false)
})
