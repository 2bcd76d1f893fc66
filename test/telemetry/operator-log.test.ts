import t from 'tap'
import { silentLogger } from '../../src/core/log.ts'
import { logOrder } from '../../src/telemetry/operator-log.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { eventsAt, ref } from '../fixtures/kills.ts'

t.test('a line for each word of an operator, and for nothing else', async (t) => {
  const lines: unknown[] = []
  const say =
    (level: string) =>
    (fields: object, message: string): void =>
      void lines.push({ level, message, ...fields })
  const log = { ...silentLogger, info: say('info'), warn: say('warn') }
  const { ejected, restored, outcome } = eventsAt(new FakeClock())
  const a = ref('a')
  const word = { by: 'alice', reason: 'disk' }
  const drained = { kind: 'draining', endpoint: a, inFlight: 2, nowMs: 0, wallMs: 0 } as const
  const back = { kind: 'restored', endpoint: a, nowMs: 0, wallMs: 0 } as const
  for (const event of [
    ejected(a),
    restored(a),
    outcome(a, 'lost'),
    ejected(a, { cause: 'operator', inFlight: 3, operator: { ...word, forMs: undefined } }),
    { ...drained, operator: { ...word, forMs: 90_000 } },
    { ...back, operator: { ...word, expired: true } },
    { ...back, operator: { ...word, expired: false } },
  ])
    logOrder(event, log)
  const of = { service: 'shop', endpoint: 'a', by: 'alice', reason: 'disk' }
  t.same(lines, [
    { level: 'warn', message: 'endpoint ejected by an operator', ...of, inFlight: 3 },
    { level: 'warn', message: 'endpoint drained by an operator', ...of, for: '1m30s', inFlight: 2 },
    { level: 'info', message: 'an order is over: the endpoint is restored', ...of },
    { level: 'info', message: 'endpoint restored by an operator', ...of },
  ])
})
