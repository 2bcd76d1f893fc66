import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { createRegistration, type Registration, type RegistrationOptions } from '../../src/catalog/consul/register.ts'
import { systemClock } from '../../src/core/clock.ts'
import type { Logger } from '../../src/core/log.ts'
import { systemRandom } from '../../src/core/random.ts'
import { startConsulAgent } from '../fixtures/consul-agent.ts'
import { FakeConsul } from '../fixtures/fake-consul.ts'
import { findConsul } from '../fixtures/install.ts'
import { until } from '../fixtures/until.ts'

interface Line {
  readonly level: string
  readonly message: string
}

function registrationFor(t: Test, options: RegistrationOptions): { registration: Registration; lines: Line[] } {
  const lines: Line[] = []
  const write = (level: string) => (_: object, message: string) => void lines.push({ level, message })
  const log: Logger = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
  const registration = createRegistration(options, { clock: systemClock, random: systemRandom, log })
  t.teardown(async () => registration.stop())
  return { registration, lines }
}

interface Entry {
  readonly Service: {
    readonly ID: string
    readonly Port: number
    readonly Tags: string[]
    readonly Meta: Record<string, string>
  }
  readonly Checks: { readonly CheckID: string; readonly Status: string }[]
}

const consul = await findConsul()

if (consul.path === undefined) t.pass('needs a real Consul', { skip: consul.reason })
else {
  void t.test('registered, checked, registered again by itself, and taken out', async (t) => {
    const status = createServer((_, res) => res.end('ok')).listen(0, '127.0.0.1')
    await once(status, 'listening')
    t.teardown(() => status.close())
    const agent = await startConsulAgent()
    t.teardown(async () => agent.stop())
    const { registration, lines } = registrationFor(t, {
      connection: { address: agent.address },
      service: 'fairlead',
      id: 'fairlead:1',
      address: '127.0.0.1',
      port: 8080,
      tags: ['edge'],
      meta: { version: '1' },
      check: {
        kind: 'http',
        url: `http://127.0.0.1:${String((status.address() as AddressInfo).port)}/readyz`,
        intervalMs: 200,
        timeoutMs: 500,
      },
      lookMs: 50,
    })
    registration.start()
    const entries = async (from = agent): Promise<Entry[]> =>
      (await from.api('GET', '/v1/health/service/fairlead')) as Entry[]
    const found = await until(async () => {
      const [entry] = await entries()
      return (
        entry?.Checks.some((check) => check.CheckID === 'service:fairlead:1' && check.Status === 'passing') === true &&
        entry
      )
    })
    t.match(found.Service, { ID: 'fairlead:1', Port: 8080, Tags: ['edge'], Meta: { version: '1' } })
    await agent.kill('SIGKILL')
    await until(() => lines.some((line) => line.level === 'warn' && line.message.includes(agent.address)))
    const again = await startConsulAgent({ ports: agent.ports })
    t.teardown(async () => again.stop())
    await until(async () => (await entries(again)).length === 1)
    await again.api('PUT', '/v1/agent/service/deregister/fairlead:1')
    await until(async () => (await entries(again)).length === 1, { what: 'it came back' })
    await Promise.all([registration.stop(), registration.stop()])
    t.same(await entries(again), [])
  })

  void t.test('a heartbeat of our own', async (t) => {
    const agent = await startConsulAgent()
    t.teardown(async () => agent.stop())
    const { registration } = registrationFor(t, {
      connection: { address: agent.address },
      service: 'fairlead',
      id: 'f1',
      port: 8080,
      check: { kind: 'ttl', ttlMs: 600 },
    })
    registration.start()
    const status = async (): Promise<string | undefined> => {
      const entries = (await agent.api('GET', '/v1/health/service/fairlead')) as Entry[]
      return entries[0]?.Checks.find((check) => check.CheckID === 'service:f1')?.Status
    }
    await until(async () => (await status()) === 'passing')
    const from = performance.now()
    await until(async () => {
      t.equal(await status(), 'passing')
      return performance.now() - from > 1_500
    })
  })
}

void t.test('a Consul that is silent keeps no stop waiting', async (t) => {
  const fake = await FakeConsul.start()
  t.teardown(async () => fake.stop())
  fake.script = () => ({ hang: true })
  const { registration, lines } = registrationFor(t, {
    connection: { address: fake.address },
    service: 'f',
    id: 'f',
    port: 1,
  })
  registration.start()
  await until(() => fake.requests.length === 1)
  const from = performance.now()
  await registration.stop()
  t.ok(performance.now() - from < 4_000)
  t.match(lines.at(-1), { level: 'warn', message: /could not be deregistered/ })
  t.match(fake.requests.at(-1), { method: 'PUT', path: '/v1/agent/service/deregister/f' })
})

void t.test('stopped before it was started, it says nothing to Consul', async (t) => {
  const fake = await FakeConsul.start()
  t.teardown(async () => fake.stop())
  const { registration } = registrationFor(t, { connection: { address: fake.address }, service: 'f', id: 'f', port: 1 })
  await registration.stop()
  t.equal(fake.requests.length, 0)
})
