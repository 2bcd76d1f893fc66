/**
 * Unmodified clients, against a real agent and the embedded catalog: npm `consul`, the `consul` command, and the requests that
 * registrator, fabio, Traefik and consul-template make, in their order and with their flags.
 */
import Consul from 'consul'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { entrants } from '../fixtures/catalog-speaker.ts'
import { findConsul } from '../fixtures/install.ts'
import { until } from '../fixtures/until.ts'

const execute = promisify(execFile)
const consul = await findConsul()

interface Seen {
  readonly Service: { readonly ID: string; readonly Port: number; readonly Meta: Record<string, string> | null }
  readonly Checks: readonly { readonly Status: string }[]
}

for (const entrant of await entrants()) {
  const skip = entrant.absent ?? false
  await t.test(entrant.kind, { skip }, async (t) => {
    const it = await entrant.start()
    t.teardown(() => it.stop())

    await t.test('npm consul: a service and its heartbeats', async (t) => {
      const consul = new Consul({ host: '127.0.0.1', port: it.port })
      t.match(await consul.status.leader(), /:\d+$/)
      await consul.agent.service.register({
        name: 'npm',
        id: 'npm-1',
        port: 8080,
        tags: ['v1'],
        meta: { version: '1.0' },
        check: { name: 'beat', ttl: '15s', timeout: '1s' },
      })
      t.match(await consul.agent.services(), { 'npm-1': { Service: 'npm', Port: 8080, Tags: ['v1'] } })
      const health = async (passing: boolean): Promise<Seen[]> =>
        (await consul.health.service({ service: 'npm', passing })) as Seen[]
      await until(async () => (await health(false)).length === 1)
      t.strictSame(await health(true), [])
      await consul.agent.check.pass({ id: 'service:npm-1', note: 'up' })
      await until(async () => (await health(true)).length === 1)
      t.match(await consul.catalog.services(), { npm: ['v1'] })
      t.match(await consul.catalog.service.nodes('npm'), [{ ServiceID: 'npm-1', ServiceMeta: { version: '1.0' } }])
      await consul.agent.service.maintenance({ id: 'npm-1', enable: true, reason: 'moving' })
      await until(async () => (await health(true)).length === 0)
      await consul.agent.service.maintenance({ id: 'npm-1', enable: false })
      await consul.agent.check.warn({ id: 'service:npm-1' })
      await until(async () => (await health(false))[0]?.Checks.some(({ Status }) => Status === 'warning'))
      await consul.agent.check.fail({ id: 'service:npm-1' })
      await until(async () => (await health(false))[0]?.Checks.some(({ Status }) => Status === 'critical'))
      await t.rejects(consul.agent.check.pass({ id: 'nope' }), { message: /does not have associated TTL/ })
      await consul.agent.service.deregister('npm-1')
      await until(async () => (await health(false)).length === 0)
    })

    await t.test('npm consul: watch', async (t) => {
      const consul = new Consul({ host: '127.0.0.1', port: it.port })
      const watch = consul.watch({
        method: (options: Parameters<typeof consul.health.service>[0]) => consul.health.service(options),
        options: { service: 'watched' },
      })
      t.teardown(() => watch.end())
      const seen: number[] = []
      const errors: unknown[] = []
      watch.on('change', (data) => void seen.push((data as unknown[]).length))
      watch.on('error', (error) => void errors.push(error))
      await until(() => seen.at(-1) === 0)
      await consul.agent.service.register({ name: 'watched', id: 'w-1', port: 1 })
      await until(() => seen.at(-1) === 1)
      await consul.agent.service.register({ name: 'watched', id: 'w-2', port: 2 })
      await until(() => seen.at(-1) === 2)
      await consul.agent.service.deregister('w-1')
      await until(() => seen.at(-1) === 1)
      await consul.agent.service.deregister('w-2')
      await until(() => seen.at(-1) === 0)
      t.strictSame(errors, [])
    })

    await t.test('npm consul: keys and locks', async (t) => {
      const consul = new Consul({ host: '127.0.0.1', port: it.port })
      t.equal(await consul.kv.get('cfg/a'), undefined)
      t.equal(await consul.kv.set('cfg/a', 'one'), true)
      const entry = (await consul.kv.get('cfg/a')) as { Value: string; ModifyIndex: number }
      t.equal(entry.Value, 'one')
      t.notOk(await consul.kv.set({ key: 'cfg/a', value: 'two', cas: 0 }), 'it is there')
      t.notOk(await consul.kv.set({ key: 'cfg/a', value: 'two', cas: entry.ModifyIndex - 1 }), 'it has moved on')
      t.equal(await consul.kv.set({ key: 'cfg/a', value: 'two', cas: entry.ModifyIndex }), true)
      t.strictSame(await consul.kv.keys('cfg/'), ['cfg/a'])
      t.match(await consul.kv.get({ key: 'cfg/', recurse: true }), [{ Key: 'cfg/a', Value: 'two' }])
      const { ID: id } = await consul.session.create({ ttl: '15s' })
      t.equal(await consul.kv.set({ key: 'cfg/lock', value: 'me', acquire: id }), true)
      t.match(await consul.kv.get('cfg/lock'), { Session: id })
      t.match(await consul.session.renew(id), [{ ID: id }])
      t.equal(await consul.kv.set({ key: 'cfg/lock', value: 'me', release: id }), true)
      await consul.session.destroy(id)
      await consul.kv.del({ key: 'cfg/', recurse: true })
      t.equal(await consul.kv.get('cfg/a'), undefined)
    })

    await t.test('the consul command', { skip: consul.path === undefined && consul.reason }, async (t) => {
      const run = async (...args: string[]): Promise<string> => {
        const env = { ...process.env, CONSUL_HTTP_ADDR: `127.0.0.1:${String(it.port)}` }
        return (await execute(consul.path ?? '', args, { env, timeout: 15_000 })).stdout
      }
      t.match(await run('members'), /^n1 +127\.0\.0\.1:\d+ +alive +server/m)
      t.match(await run('services', 'register', '-name=cli', '-port=80', '-tag=v1'), /Registered service: cli/)
      await until(async () => /^cli +v1$/m.test(await run('catalog', 'services', '-tags')))
      t.match(await run('catalog', 'nodes', '-service=cli'), /^n1 /m)
      t.match(await run('kv', 'put', 'cli/a', 'hello'), /Success/)
      t.equal(await run('kv', 'get', 'cli/a'), 'hello\n')
      t.match(await run('kv', 'get', '-detailed', 'cli/a'), /^Value +hello$/m)
      await t.rejects(run('kv', 'put', '-cas', '-modify-index=1', 'cli/a', 'x'), 'CAS fails')
      t.match(JSON.parse(await run('kv', 'export', 'cli/')), [{ key: 'cli/a', value: 'aGVsbG8=' }])
      t.equal(await run('lock', '-timeout=5s', 'cli/lock', 'echo locked'), 'locked\n')
      await run('maint', '-enable', '-service=cli', '-reason=moving')
      t.match(await run('maint'), /Reason: moving/)
      await run('maint', '-disable', '-service=cli')
      t.match(JSON.parse(await run('watch', '-type=service', '-service=cli')), [{ Service: { ID: 'cli' } }])
      await run('services', 'deregister', '-id=cli')
      await run('kv', 'delete', '-recurse', 'cli/')
      t.equal((await it.ask('GET', 'kv/cli/?recurse')).status, 404)
    })

    await t.test('registrator', async (t) => {
      t.equal((await it.ask('GET', 'status/leader')).status, 200, 'ping')
      const id = 'host:web_1:8080:udp'
      const body = {
        ID: id,
        Name: 'reg',
        Tags: ['a'],
        Port: 8080,
        Address: '10.0.0.5',
        EnableTagOverride: false,
        Meta: {},
        Check: null,
        Checks: null,
      }
      t.equal((await it.ask('PUT', 'agent/service/register', body)).status, 200)
      t.match((await it.ask('GET', 'agent/services')).json(), {
        [id]: { Service: 'reg', Address: '10.0.0.5', Port: 8080 },
      })
      const again = { ...body, Check: { HTTP: 'http://10.0.0.5:8080/', Interval: '60s', Status: 'passing' } }
      t.equal((await it.ask('PUT', 'agent/service/register', again)).status, 200)
      t.equal((await it.ask('PUT', `agent/service/deregister/${id}`)).status, 200)
      t.notMatch((await it.ask('GET', 'agent/services')).text, /reg/)
    })

    await t.test('fabio', async (t) => {
      const self = (await it.ask('GET', 'agent/self')).json<{ Config: { Datacenter: string } }>()
      t.equal(self.Config.Datacenter, 'dc1')
      const own = {
        ID: 'fabio-h-9998',
        Name: 'fabio',
        Port: 9998,
        Tags: [],
        Checks: [
          { CheckID: 'fabio-h-9998-ttl', TTL: '15s', DeregisterCriticalServiceAfter: '90m' },
          { HTTP: 'http://127.0.0.1:9/health', Interval: '1s', Timeout: '3s', DeregisterCriticalServiceAfter: '90m' },
        ],
      }
      t.equal((await it.ask('PUT', 'agent/service/register', own)).status, 200)
      t.match((await it.ask('GET', 'agent/services')).json(), { 'fabio-h-9998': {} })
      const beat = { Status: 'passing', Output: '' }
      t.equal((await it.ask('PUT', 'agent/check/update/fabio-h-9998-ttl', beat)).status, 200)

      const first = await it.ask('GET', 'kv/fabio/config?recurse=&consistent=&index=0')
      t.equal(first.status, 404)
      t.ok(first.index >= 1, 'without an index it would ask again at once')
      const blocked = it.ask('GET', `kv/fabio/config?recurse=&consistent=&index=${String(first.index)}`)
      t.strictSame((await it.ask('PUT', 'kv/fabio/config?cas=0', 'route add')).json(), true)
      t.match((await blocked).json(), [{ Key: 'fabio/config', Value: 'cm91dGUgYWRk' }])
      t.equal((await it.ask('GET', 'kv/fabio/noroute.html?recurse=&consistent=&index=0')).status, 404)

      const state = await it.ask('GET', 'health/state/any?consistent=&index=0')
      const woken = it.ask('GET', `health/state/any?consistent=&index=${String(state.index)}`)
      const svc = { ID: 's-1', Name: 'svc', Port: 1, Tags: ['urlprefix-/s'], Check: { TTL: '60s', Status: 'passing' } }
      await it.ask('PUT', 'agent/service/register', svc)
      await woken
      type Check = { ServiceName: string; ServiceID: string; Node: string; Status: string; ServiceTags: string[] }
      const found = await until(async () =>
        (await it.ask('GET', 'health/state/any?consistent=')).json<Check[]>().find((one) => one.ServiceID === 's-1'),
      )
      t.match(found, { Node: 'n1', ServiceName: 'svc', Status: 'passing', ServiceTags: ['urlprefix-/s'] })
      const instances = (await it.ask('GET', 'catalog/service/svc?consistent=')).json<object[]>()
      t.match(instances, [
        { Node: 'n1', ServiceID: 's-1', ServicePort: 1, ServiceTags: ['urlprefix-/s'], Address: '127.0.0.1' },
      ])
      t.equal((await it.ask('PUT', 'agent/service/deregister/fabio-h-9998')).status, 200)
      t.notMatch((await it.ask('GET', 'agent/checks')).text, /fabio-h-9998/, 'its checks went with it')
    })

    await t.test('traefik', async (t) => {
      const svc = {
        ID: 't-1',
        Name: 'tr',
        Port: 80,
        Tags: ['traefik.enable=true', 'b'],
        Check: { TTL: '60s', Status: 'passing' },
      }
      await it.ask('PUT', 'agent/service/register', svc)
      await until(async () => (await it.ask('GET', 'health/service/tr')).json<unknown[]>().length === 1)
      const services = await it.ask('GET', 'catalog/services?stale=&wait=60000ms')
      t.match(services.json<Record<string, string[]>>()['tr']?.toSorted(), ['b', 'traefik.enable=true'])
      for (const flag of ['stale=', 'consistent=', 'cached=']) {
        const seen = (await it.ask('GET', `health/service/tr?${flag}`)).json<{ Node: { ID: string } }[]>()
        t.match(seen, [{ Node: { Datacenter: 'dc1' }, Service: { ID: 't-1' } }], flag)
        t.match(seen[0]?.Node.ID, /^[0-9a-f-]{36}$/)
      }
      const index = String(services.index)
      const changed = it.ask('GET', `catalog/services?index=${index}&wait=60000ms`)
      await it.ask('PUT', 'agent/service/register', { ...svc, Tags: ['traefik.enable=true', 'c'] })
      t.match((await changed).text, /"c"/)
      t.equal((await it.ask('GET', `health/state/any?index=0&wait=5m`)).status, 200)
    })

    await t.test('consul-template', async (t) => {
      const path = 'health/service/ct?passing=1&stale=&wait=60000ms'
      const first = await it.ask('GET', path)
      t.strictSame(first.json(), [], 'an empty answer counts as one')
      t.equal(first.headers.get('x-consul-lastcontact'), '0', 'needed for max_stale')
      const blocked = it.ask('GET', `${path}&index=${String(first.index)}`)
      const svc = { ID: 'ct-1', Name: 'ct', Port: 80, Check: { TTL: '60s', Status: 'passing' } }
      await it.ask('PUT', 'agent/service/register', svc)
      t.match((await blocked).json(), [{ Service: { ID: 'ct-1', Weights: { Passing: 1 } } }])
      const key = await it.ask('GET', 'kv/ct/key?stale=&wait=60000ms')
      t.equal(key.status, 404, 'key blocks rendering until it is there')
      const coming = it.ask('GET', `kv/ct/key?stale=&wait=60000ms&index=${String(key.index)}`)
      await it.ask('PUT', 'kv/ct/key', 'v')
      t.match((await coming).json(), [{ Value: 'dg==' }])
    })
  })
}
