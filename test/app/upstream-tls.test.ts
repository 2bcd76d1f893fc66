/** A whole proxy before HTTPS instances: what a start refuses, and that certificates are read again when they change. */
import { renameSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { App } from '../../src/app.ts'
import type { Problem } from '../../src/core/problem.ts'
import { load } from '../../src/config/load.ts'
import { ask, configOf, definitions, portOf, proxyPort, quiet, rigApp } from '../fixtures/app.ts'
import type { Certificate } from '../fixtures/certificates.ts'
import { issue, makeAuthority } from '../fixtures/certificates.ts'
import { type TlsParts, tlsParts } from '../fixtures/tls-parts.ts'
import { until } from '../fixtures/until.ts'

interface Parts extends TlsParts {
  readonly folder: string
  readonly at: (name: string) => string
  readonly put: (name: string, text: string) => void
}

function tlsTest(name: string, fn: (t: Test, parts: Parts) => Promise<void>): void {
  t.test(name, async (t) => {
    const parts = await tlsParts()
    if (!parts) return t.comment('needs openssl')
    const folder = t.testdir({})
    const at = (file: string): string => join(folder, file)
    const put = (file: string, text: string): void => {
      writeFileSync(at(`${file}.new`), text)
      renameSync(at(`${file}.new`), at(file))
    }
    await fn(t, { ...parts, folder, at, put })
  })
}

async function https(t: Test, options: object): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer(options, (_request, response) => response.end('secret'))
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { server, port: (server.address() as AddressInfo).port }
}

function text(at: Parts['at'], tls: string): string {
  const catalog = `catalog: { file: "${at('services.json')}" }`
  return `${quiet}${catalog}\nroutes: [{ service: web }]\nservices: { web: { tls: ${tls} } }\n`
}

const problemsOf = async (app: App): Promise<readonly Problem[]> =>
  (JSON.parse((await ask(portOf(app.addresses().admin), '/v1/problems')).body) as { problems: Problem[] }).problems

tlsTest('certificates that change are in force without a reload; what cannot be used is a problem', async (t, parts) => {
  const { authority, put, at } = parts
  const { server, port } = await https(t, parts.server)
  put('services.json', definitions('web', [port]))
  put('ca.pem', authority.cert)
  const { app, messages } = rigApp(t, configOf(text(at, `{ ca: "${at('ca.pem')}" }`)))
  await app.start()
  const status = async (): Promise<number> => (await ask(proxyPort(app))).status
  t.match(await ask(proxyPort(app)), { status: 200, body: 'secret' })

  const next = (await makeAuthority()) as Certificate
  server.setSecureContext((await issue(next, 'IP:127.0.0.1')) as Certificate)
  t.equal(await status(), 200, 'the connection that stands was verified')
  server.closeAllConnections()
  await until(async () => (await status()) === 502)
  put('ca.pem', 'nonsense')
  await until(async () => (await problemsOf(app)).length === 1)
  t.match(await problemsOf(app), [{ code: 'upstream-tls', where: at('ca.pem'), message: /no certificate in it.*last good ones stay/ }])
  put('ca.pem', next.cert)
  await until(async () => (await status()) === 200)
  t.same(await problemsOf(app), [])
  t.ok(messages().some((message) => message.includes('changed and are in force')))
}) // prettier-ignore

tlsTest('a client certificate whose two files change one after the other', async (t, parts) => {
  const { authority, put, at, issue: make } = parts
  const subjects: unknown[] = []
  const options = { ...parts.server, ca: authority.cert, requestCert: true }
  const { server, port } = await https(t, options)
  server.on('secureConnection', (socket) => subjects.push(socket.getPeerCertificate().subjectaltname))
  put('services.json', definitions('web', [port]))
  put('ca.pem', authority.cert)
  const [first, second] = await Promise.all([make('DNS:first'), make('DNS:second')])
  put('own.pem', first.cert)
  put('key.pem', first.key)
  const tls = `{ ca: "${at('ca.pem')}", cert: "${at('own.pem')}", key: "${at('key.pem')}" }`
  const { app } = rigApp(t, configOf(text(at, tls)))
  await app.start()
  t.equal((await ask(proxyPort(app))).status, 200)
  put('own.pem', second.cert)
  await until(async () => (await problemsOf(app)).length === 1)
  t.equal((await ask(proxyPort(app))).status, 200, 'between the two')
  put('key.pem', second.key)
  await until(async () => (await ask(proxyPort(app))).status === 200 && subjects.includes('DNS:second'))
  t.same(await problemsOf(app), [])
  t.equal(subjects[0], 'DNS:first')
})

tlsTest('files that cannot be used are named: a start and a reload fail, check warns', async (t, parts) => {
  const { authority, put, at, issue: make } = parts
  const { port } = await https(t, parts.server)
  put('services.json', definitions('web', [port]))
  put('ca.pem', authority.cert)
  put('no.pem', 'nonsense')
  const own = await make('DNS:own')
  put('own.pem', own.cert)
  put('own-key.pem', own.key)
  put('empty.pem', '')
  put('other-key.pem', authority.key)
  const cases: readonly [tls: string, RegExp][] = [
    [`{ ca: "${at('none.pem')}" }`, /none\.pem as tls\.ca: there is no file/],
    [`{ ca: "${at('no.pem')}" }`, /cannot use .*no\.pem as tls\.ca: there is no certificate in it; expected /],
    [`{ ca: "${at('own-key.pem')}" }`, /cannot use .*own-key\.pem as tls\.ca: there is no certificate in it; expected /],
    [`{ ca: "${at('empty.pem')}" }`, /empty\.pem as tls\.ca: there is no certificate/],
    [`{ cert: "${at('own.pem')}", key: "${at('ca.pem')}" }`, /ca\.pem as tls\.key: there is no private key in it; /],
    [`{ cert: "${at('own-key.pem')}", key: "${at('own-key.pem')}" }`, /own-key\.pem as tls\.cert: there is no certificate/],
    [`{ cert: "${at('own.pem')}", key: "${at('other-key.pem')}" }`, /cannot use .*own\.pem, .*other-key\.pem: /],
  ]
  for (const [tls, message] of cases)
    await t.rejects(rigApp(t, configOf(text(at, tls))).app.start(), { code: 'FL_CONFIG', message }, tls)
  const { app } = rigApp(t, configOf(text(at, `{ ca: "${at('ca.pem')}" }`)))
  await app.start()
  for (const [tls, message] of cases)
    await t.rejects(app.reload(configOf(text(at, tls))), { code: 'FL_CONFIG', message }, tls)
  t.equal((await ask(proxyPort(app))).status, 200, 'the last good configuration stays')
  await app.reload(configOf(text(at, `{ ca: "${at('ca.pem')}", serverName: b.test }`)))
  await until(async () => (await ask(proxyPort(app))).status === 502, { what: 'the changed setting to hold' })
  const { warnings } = load(text(at, `{ ca: "${at('none.pem')}" }`), {}, 'f', (file) => file.includes('none') ? 'gone' : undefined)
  t.match(warnings, [{ path: 'services.web.tls.ca', message: /gone/ }])
}) // prettier-ignore
