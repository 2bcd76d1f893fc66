/** The API that changes something: how it is asked, what it refuses, and what it says of what it did. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import t from 'tap'
import {
  backend,
  configOf,
  definitions,
  portOf,
  proxyPort,
  quiet,
  rigApp,
  type AppRig,
  type Teardown,
} from '../fixtures/app.ts'
import { ask } from '../fixtures/app.ts'

interface Got {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly json: any // eslint-disable-line typescript/no-explicit-any -- whatever the API says
}

const jsonType = { 'content-type': 'application/json' }

function post(
  port: number,
  path: string,
  body: string | object,
  headers: Record<string, string> = jsonType,
  method = 'POST',
): Promise<Got> {
  return new Promise((resolve, reject) => {
    const req = httpRequest({ host: '127.0.0.1', port, path, method, headers, agent: false }, (res) => {
      let text = ''
      res.setEncoding('utf8')
      res.on('data', (part: string) => (text += part))
      res.on('end', () => {
        const json: unknown = text === '' ? undefined : JSON.parse(text)
        resolve({ status: res.statusCode ?? 0, headers: res.headers, body: text, json })
      })
      res.on('error', reject)
    })
    req.on('error', reject)
    req.end(typeof body === 'string' ? body : JSON.stringify(body))
  })
}

interface Setup extends AppRig {
  readonly admin: number
  readonly status: number
  readonly proxy: number
  readonly handles: readonly string[]
  readonly folder: string
}

async function setup(
  t: Teardown,
  count: number,
  change: (text: string, folder: string) => string = (text) => text,
): Promise<Setup> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-operate-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const ports: number[] = []
  for (let i = 0; i < count; i++) ports.push(await backend(t, `web-${i}`))
  writeFileSync(join(folder, 'services.json'), definitions('web', ports))
  const text = change(`${quiet}catalog: { file: "${folder}/services.json" }\nroutes: [{ service: web }]\n`, folder)
  const rig = rigApp(t, configOf(text))
  await rig.app.start()
  const { admin, status } = rig.app.addresses()
  const table = rig.app.dataPlane().current().table.services.get('web')
  // In the order of the backends.
  const endpoints = table?.groups.flatMap((group) => group.endpoints) ?? []
  const handles = ports.map((port) => endpoints.find((each) => each.port === port)?.handle ?? '')
  return { ...rig, admin: portOf(admin), status: portOf(status), proxy: proxyPort(rig.app), handles, folder }
}

async function bodies(port: number, count = 12): Promise<readonly string[]> {
  const seen = new Set<string>()
  for (let i = 0; i < count; i++) {
    const { status, body } = await ask(port)
    seen.add(status === 200 ? body : String(status))
  }
  return [...seen].toSorted()
}

t.test('drain, look, restore: the traffic, the views, the log', async (t) => {
  const { admin, proxy, handles, lines } = await setup(t, 2)
  const [first = '', second = ''] = handles
  t.same(await bodies(proxy), ['web-0', 'web-1'])
  const path = `/v1/endpoints/${first}`
  const before = await ask(admin, path)
  t.match(JSON.parse(before.body), {
    service: 'web',
    version: '1',
    endpoint: { handle: first, inFlight: 0, order: null },
    others: { service: 1, version: 1 },
    warnings: [],
  })
  const drained = await post(admin, `${path}/drain`, { for: '30m', reason: 'disk' })
  t.match(drained, { status: 200 })
  t.match(drained.json, {
    service: 'web',
    endpoint: { health: { state: 'draining' }, order: { kind: 'drain', reason: 'disk', by: 'local' } },
    others: { service: 1 },
    means: /^At this proxy alone: It gets nothing new for 30m; .* 1 endpoint of web left\.$/,
    warnings: [],
  })
  const { since, until } = drained.json.endpoint.order
  t.equal(Date.parse(until) - Date.parse(since), 30 * 60_000)
  t.same(await bodies(proxy), ['web-1'])
  const listed = JSON.parse((await ask(admin, '/v1/services/web')).body)
  const views = listed.versions[0].endpoints as { handle: string; order: object | null }[]
  t.match(views.find(({ handle }) => handle === first)?.order, { kind: 'drain' })
  t.equal(views.find(({ handle }) => handle === second)?.order, null)
  t.match((await ask(admin, '/metrics')).body, 'fairlead_endpoints{service="web",version="1",state="draining"} 1')

  const last = await post(admin, `/v1/endpoints/${second}/eject`, {})
  t.match(last.json, { others: { service: 0 }, warnings: ['Nothing is left: requests to web are answered 503.'] })
  t.match(last.json.endpoint, { health: { state: 'ejected', cause: 'operator' }, order: { until: null, reason: '' } })
  t.same(await bodies(proxy, 3), ['503'])
  t.match((await ask(admin, '/metrics')).body, 'fairlead_ejections_total{service="web",cause="operator"} 1')
  t.match(JSON.parse((await ask(admin, '/v1/kills')).body), { totals: { deaths: 0 }, kills: [] }, 'no deaths')

  t.match(await post(admin, `${path}/restore`, { reason: 'new disk' }), {
    status: 200,
    json: { endpoint: { order: null } },
  })
  t.match(await post(admin, `/v1/endpoints/${second}/restore`, ''), { status: 200 })
  t.same(await bodies(proxy, 40), ['web-0', 'web-1'])
  const again = await post(admin, `${path}/restore`, {})
  t.match(again, { status: 409, json: { error: /nothing to restore/ } })
  const orders = lines.filter(({ msg }) => typeof msg === 'string' && msg.includes('by an operator'))
  t.match(orders, [
    { msg: 'endpoint drained by an operator', endpoint: first, by: 'local', reason: 'disk', for: '30m' },
    { msg: 'endpoint ejected by an operator', endpoint: second, by: 'local' },
    { msg: 'endpoint restored by an operator', endpoint: first, reason: 'new disk' },
    { msg: 'endpoint restored by an operator', endpoint: second },
  ])
})

t.test('a handle that nobody has: 404 with those near it', async (t) => {
  const { admin, handles } = await setup(t, 1)
  const [handle = ''] = handles
  const swapped = `${handle.slice(0, -2)}${handle.at(-1)}${handle.at(-2)}`
  for (const wrong of [handle.slice(0, -3), `${handle}x`, swapped === handle ? `${handle}y` : swapped]) {
    t.match(await post(admin, `/v1/endpoints/${wrong}/drain`, {}), { status: 404, json: { nearest: [handle] } }, wrong)
    t.match(JSON.parse((await ask(admin, `/v1/endpoints/${wrong}`)).body), { nearest: [handle] }, wrong)
  }
  t.match(await post(admin, '/v1/endpoints/__proto__/drain', {}), { status: 404, json: { nearest: [] } })
  for (const path of ['/v1/endpoints//drain', `/v1/endpoints/${handle}/kill`, `/v1/endpoints/%zz/drain`])
    t.equal((await post(admin, path, {})).status, 404, path)
})

t.test('what is not exactly as it should be is refused, and does nothing', async (t) => {
  const { admin, status, handles, app } = await setup(t, 1)
  const [handle = ''] = handles
  const path = `/v1/endpoints/${handle}/drain`
  for (const [body, wanted] of [
    ['[]', 400],
    ['null', 400],
    ['"drain"', 400],
    ['{', 400],
    ['{"for":30}', 400],
    ['{"for":"30"}', 400],
    ['{"for":"0"}', 400],
    ['{"for":"999ms"}', 400],
    ['{"for":"31d"}', 400],
    ['{"for":null}', 400],
    ['{"reason":1}', 400],
    ['{"reason":"a\\nb"}', 400],
    ['{"reason":"\\u001b[2J"}', 400],
    [JSON.stringify({ reason: 'a'.repeat(257) }), 400],
    ['{"reasons":"x"}', 400],
    ['{"__proto__":{}}', 400],
    [JSON.stringify({ reason: 'a'.repeat(5_000) }), 413],
    ['a'.repeat(200_000), 413],
  ] as const)
    t.equal((await post(admin, path, body)).status, wanted, body.slice(0, 40))
  t.equal((await post(admin, `/v1/endpoints/${handle}/restore`, { for: '1m' })).status, 400)
  const never = await post(admin, `/v1/endpoints/${handle}/eject`, { for: '0s' })
  t.match(JSON.stringify(never), /How long \(--for; .{1,3}for.{1,3} over HTTP\) is a time such as 30m, from 1s to 30d/)
  t.equal((await post(admin, `${path}?for=30m`, {})).status, 400)
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/jsonp',
    'application/json; charset=latin1',
    '',
  ])
    t.equal((await post(admin, path, '{}', type === '' ? {} : { 'content-type': type })).status, 415, type)
  t.match(await post(admin, path, '', {}, 'GET'), { status: 405, headers: { allow: 'POST' } })
  for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS'])
    t.equal((await post(admin, path, '{}', jsonType, method)).status, 405)
  t.match(await post(admin, '/v1/table', '{}'), { status: 405, headers: { allow: 'GET, HEAD' } })
  t.equal((await post(status, path, '{}')).status, 405, 'the status address never changes anything')
  for (const headers of [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { origin: 'http://evil.example' },
    { origin: 'null' },
    { origin: `https://127.0.0.1:${admin}` },
  ] as const)
    t.equal((await post(admin, path, '{}', { ...jsonType, ...headers })).status, 403, JSON.stringify(headers))
  t.equal((await post(admin, path, '{}', { ...jsonType, host: `evil.example:${admin}` })).status, 421)
  const states = [...app.dataPlane().figures().endpoints]
  t.same(
    states.map(({ order }) => order),
    [undefined],
  )
  t.equal((await post(admin, path, '{"for":"1s"}', { 'content-type': 'Application/JSON; charset=UTF-8' })).status, 200)
})

t.test('a body that does not come whole changes nothing and disturbs nobody', async (t) => {
  const { admin, handles, app, lines } = await setup(t, 1)
  const head = `POST /v1/endpoints/${handles[0] ?? ''}/drain HTTP/1.1\r\nHost: localhost:${admin}\r\nContent-Type: application/json\r\n`
  await new Promise<void>((resolve) => {
    const socket = connect(admin, '127.0.0.1', () => {
      socket.write(`${head}Content-Length: 20\r\n\r\n{"for":`)
      socket.end()
    })
    socket.resume()
    socket.on('error', () => {})
    socket.on('close', () => resolve())
  })
  t.equal((await ask(admin, '/livez')).status, 200)
  t.same(
    [...app.dataPlane().figures().endpoints].map(({ order }) => order),
    [undefined],
  )
  t.notOk(lines.some(({ level }) => level === 'error'))
})

t.test('with tokens: each request below /v1 needs one, and read is no operate', async (t) => {
  const tokens = { alice: 'A1b2c3d4e5f6g7h8i9j0k1L2', bob: 'ffeeddccbbaa99887766554433221100' }
  const { admin, status, handles, lines, app, folder } = await setup(t, 1, (text, folder) => {
    for (const [name, token] of Object.entries(tokens)) writeFileSync(join(folder, name), token)
    const list = `[{ name: alice, file: "${folder}/alice", role: operate }, { name: bob, file: "${folder}/bob" }]`
    return text.replace('admin: { address: "127.0.0.1:0" }', `admin: { address: "0.0.0.0:0", tokens: ${list} }`)
  })
  const as = (token: string): Record<string, string> => ({ ...jsonType, authorization: `Bearer ${token}` })
  const path = `/v1/endpoints/${handles[0] ?? ''}/drain`
  for (const each of [
    '/v1/table',
    '/v1/services',
    '/v1/kills',
    '/v1',
    '/v1/nosuch',
    `/v1/endpoints/${handles[0] ?? ''}`,
  ]) {
    const got = await ask(admin, each)
    t.match(got, { status: 401, headers: { 'www-authenticate': 'Bearer' } }, each)
  }
  for (const each of ['/livez', '/readyz', '/metrics']) t.equal((await ask(admin, each)).status, 200, each)
  t.equal((await ask(admin, '/v1/table', { headers: as(tokens.bob) })).status, 200)
  t.equal((await post(admin, path, '{}')).status, 401)
  t.match(await post(admin, path, '{}', as(tokens.bob)), {
    status: 403,
    json: { error: 'The token of bob may only read.' },
  })
  t.equal((await post(status, path, '{}', as(tokens.alice))).status, 405)
  t.match((await post(admin, path, '{}', as(tokens.alice))).json, { endpoint: { order: { by: 'alice' } } })
  t.equal((await post(admin, path, '{}', as('x'.repeat(30)))).status, 401)
  t.notOk(JSON.stringify(lines).includes(tokens.alice))

  // Taken away by a reload: the address is not the world's without tokens.
  const { text, file } = {
    text: `${quiet}catalog: { file: "${folder}/services.json" }\nroutes: [{ service: web }]\n`,
    file: `${folder}/bob`,
  }
  writeFileSync(file, 'weak')
  const weak = text.replace(
    'admin: { address: "127.0.0.1:0" }',
    `admin: { address: "0.0.0.0:0", tokens: [{ name: bob, file: "${file}" }] }`,
  )
  await t.rejects(app.reload(configOf(weak)), { code: 'FL_CONFIG', message: /token of bob .*128 bits/ })
  t.equal((await ask(admin, '/v1/table', { headers: as(tokens.alice) })).status, 200, 'the last good ones stay')
  await app.reload(configOf(text))
  t.equal((await ask(portOf(app.addresses().admin), '/v1/table')).status, 200)
})
