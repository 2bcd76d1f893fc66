/** Bounds of the contestants' configurations: the usual ones, and raised for many clients. */
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { contestant } from '../../bench/lib/contestants.ts'

const bounds = [
  ['fairlead', 'fairlead.yaml', /^(?![^]*connectionsPerEndpoint)/, /^limits: \{ connectionsPerEndpoint: 2512 \}$/m],
  ['haproxy', 'haproxy.cfg', /maxconn 8192$/m, /maxconn 2512$/m],
  ['nginx', 'nginx.conf', /worker_connections 8192;/, /worker_connections 4512;/],
] as const

for (const [name, file, usual, raised] of bounds) {
  const one = contestant(name)
  t.test(
    `${name}: its usual bound, and what 2,000 clients need`,
    { skip: one.version === undefined && one.install },
    async (t) => {
      const dir = mkdtempSync(join(tmpdir(), 'fairlead-test-'))
      t.teardown(() => rmSync(dir, { recursive: true }))
      chmodSync(dir, 0o755)
      for (const [clients, expected] of [
        [undefined, usual],
        [2_000, raised],
      ] as const) {
        const setting = { backendPort: 1, core: undefined, dir: join(dir, String(clients)) }
        const running = await one.start(clients === undefined ? setting : { ...setting, clients })
        await running.stop()
        t.match(readFileSync(join(setting.dir, file), 'utf8'), expected)
      }
    },
  )
}
