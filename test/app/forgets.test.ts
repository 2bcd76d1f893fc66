/** What has left the catalog leaves the process. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { queryObjects } from 'node:v8'
import t from 'tap'
import { Pool } from '../../src/wire/pool.ts'
import { ask, configOf, portOf, quiet, rigApp } from '../fixtures/app.ts'
import { until } from '../fixtures/until.ts'

/** How many there are after a collection of the garbage. */
const pools = (): number => queryObjects(Pool, { format: 'count' })

t.test('instances that were replaced are forgotten', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-forgets-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'services.json')
  const write = (port: number): void => {
    const of = (id: string, at: number): object => ({ id, name: 'web', address: '127.0.0.1', port: at })
    writeFileSync(`${file}.new`, JSON.stringify({ services: [of('lasting', 4_000), of(`web-${port}`, port)] }))
    renameSync(`${file}.new`, file)
  }
  write(5_000)
  const { app } = rigApp(
    t,
    configOf(
      `${quiet}catalog: { file: "${file}" }
defaults: { health: { mode: off, slowStart: 0s } }
routes: [{ path: /, service: web }]
`,
    ),
  )
  await app.start()
  const admin = portOf(app.addresses().admin)
  for (let port = 5_001; port <= 5_020; port++) {
    write(port)
    await until(async () => (await ask(admin, '/v1/table')).body.includes(`"port":${port}`))
  }
  await until(() => pools() <= 3, { timeoutMs: 10_000, what: 'the end of those that left' })
  t.ok(pools() >= 2, 'those that are there')
})
