/** What npm makes of the package: the command it installs, and that stopping npm stops what it runs. */
import { execFile, spawn } from 'node:child_process'
import { connect } from 'node:net'
import { once } from 'node:events'
import { accessSync, constants, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { until } from '../fixtures/until.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly version: string
  readonly bin: Readonly<Record<string, string>>
}
const bin = manifest.bin['fairlead'] ?? ''

t.test('the installed command can be executed as it is', async (t) => {
  const launcher = join(root, bin)
  accessSync(launcher, constants.X_OK)
  t.match(readFileSync(launcher, 'utf8'), /^#!\/usr\/bin\/env node\n/)
  const { stdout } = await run('npx', ['fairlead', '--version'], { cwd: root })
  t.equal(stdout.trim(), manifest.version)
})

t.test('the package has what the command needs, and the templates', async (t) => {
  const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root })
  const [pack] = Object.values(JSON.parse(stdout) as Record<string, { files: { path: string; mode: number }[] }>)
  const paths = pack?.files.map(({ path }) => path) ?? []
  t.ok(paths.includes(bin))
  t.ok(paths.includes('templates/fairlead.yaml'))
  t.notOk(paths.some((path) => path.startsWith('test/') || path === 'src/main.ts'))
})

t.test('SIGTERM to npm reaches what it runs', async (t) => {
  const child = spawn('npm', ['run', '-s', 'fairlead', '--', 'catalog', '--address', '127.0.0.1:0'], { cwd: root })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const port = await until(() => /127\.0\.0\.1:([1-9][0-9]*)/.exec(output)?.[1], { timeoutMs: 20_000 })
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await ended
  await until(
    () =>
      new Promise<boolean>((resolve) => {
        const socket = connect({ host: '127.0.0.1', port: Number(port) })
        socket.once('connect', () => resolve(socket.destroy() && false))
        socket.once('error', () => resolve(true))
      }),
  )
  t.pass('nothing listens there any more')
})
