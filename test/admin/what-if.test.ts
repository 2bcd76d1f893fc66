/** What would be if an endpoint died, or with another split: over the API and as a command. */
import t from 'tap'
import { whatIfText } from '../../src/cli/what-if/run.ts'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ask, configOf, portOf, quiet, rigApp } from '../fixtures/app.ts'
import { fairlead } from '../fixtures/command.ts'

t.test('shares and load, now and after it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-what-if-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'services.json')
  const services = ['1', '1', '2'].map((version, at) => ({
    id: `w${String(at)}`,
    name: 'web',
    address: '127.0.0.1',
    port: 4_000 + at,
    meta: { version },
  }))
  writeFileSync(
    file,
    JSON.stringify({
      services: [...services, ...services.slice(1).map((one) => ({ ...one, id: `s${one.id}`, name: 'strict' }))],
    }),
  )
  const own =
    'services: { web: { versions: { 1: 8, 2: 2 }, health: { mode: off, slowStart: 0s } }, strict: { versions: { 1: 1, 2: 1 }, fallback: none, health: { mode: off } } }'
  const { app } = rigApp(
    t,
    configOf(
      `${quiet}catalog: { file: "${file}" }\nroutes: [{ service: web }, { path: /s, service: strict }]\n${own}\n`,
    ),
  )
  await app.start()
  const admin = portOf(app.addresses().admin)
  const get = async (query: string): Promise<{ status: number; json: unknown }> => {
    const { status, body } = await ask(admin, `/v1/what-if?${query}`)
    return { status, json: JSON.parse(body) as unknown }
  }
  const handles = (name: string): readonly string[] =>
    app
      .dataPlane()
      .current()
      .table.services.get(name)
      ?.groups.flatMap(({ endpoints }) => endpoints.map(({ handle }) => handle)) ?? []
  const [a = '', , c = ''] = handles('web')
  t.match(await get(`service=web&without=${a}`), {
    status: 200,
    json: {
      service: 'web',
      versions: [
        { version: '1', now: 0.8, after: 0.8 },
        { version: '2', now: 0.2, after: 0.2 },
      ],
      endpoints: [
        { handle: a, now: 0.4, after: 0 },
        { now: 0.4, after: 0.8 },
        { handle: c, now: 0.2, after: 0.2 },
      ],
      unanswered: { now: 0, after: 0 },
    },
  })
  t.match((await get(`service=web&without=${c}`)).json, {
    versions: [
      { now: 0.8, after: 1 },
      { now: 0.2, after: 0 },
    ],
  })
  t.match((await get('service=web&split=1=1,2=1')).json, {
    versions: [{ after: 0.5 }, { after: 0.5 }],
    endpoints: [{ after: 0.25 }, { after: 0.25 }, { after: 0.5 }],
  })
  t.match((await get('service=web&split=2=1,9=1')).json, {
    versions: [{ after: 0 }, { after: 1 }, { version: '9', after: 0 }],
  })
  t.match((await get(`service=strict&without=${handles('strict')[0] ?? ''}`)).json, {
    versions: [{ after: 0.5 }, { after: 0.5 }],
    unanswered: { now: 0, after: 0.5 },
  })

  for (const [query, status, error] of [
    ['', 400, /^service is missing/],
    ['service=web', 400, /one of without, .* and split/],
    [`service=web&without=${a}&split=1=1`, 400, /one of without, .* and split/],
    ['service=wbe&split=1=1', 404, /^service: .*Did you mean web\?/],
    ['service=web&without=x', 404, /^without: no endpoint/],
    ['service=web&split=1', 400, /^split: a version and its weight/],
    ['service=web&split=1=1,1=2', 400, /^split: .*twice/],
    ['service=web&split=1=x', 400, /^split: .*weight/],
    ['service=web&split=1=0', 400, /^split: Every weight is zero/],
    ['service=web&spilt=1=0', 400, /no such parameter.*split/],
  ] as const)
    t.match(await get(query), { status, json: { error } }, query)

  const command = fairlead(['what-if', 'web', '--split', '1=1,2=1', '-a', `127.0.0.1:${String(admin)}`])
  t.equal(await command.exit, 0)
  t.match(command.out(), /^web, of its requests.*\n {5}80 % -> {4}50 % {2}1\n {5}40 % -> {4}25 % {4}web-[0-9a-f]+ 127/)
})

t.test('the text steers no terminal', async (t) => {
  const part = { now: 0, after: 1 }
  const view = { service: '\u001b', versions: [{ version: '\u009b', ...part }], endpoints: [], unanswered: part }
  t.notMatch(whatIfText(view), /(?!\n)\p{Cc}/u)
  t.match(whatIfText(view), '0 % ->   100 %  answered 503\n')
})
