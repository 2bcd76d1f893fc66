/** The way in: a Node that is too old, dependencies that are missing, misuse, help and version. */
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { fairlead, launcher } from '../fixtures/command.ts'

/** Makes a Node say that it is another. */
const posing = (version: string): string =>
  `--import=data:text/javascript,${encodeURIComponent(
    `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`,
  )}`

t.test('a Node that is too old is told so in a sentence', async (t) => {
  for (const version of ['18.20.4', '20.20.2', '22.18.0']) {
    const command = fairlead(['--version'], { execArgv: [posing(version)] })
    t.equal(await command.exit, 1)
    t.match(command.err(), `Fairlead needs Node 22.19 or later, and this is Node ${version} (`)
    t.match(command.err(), 'npm ci')
    t.notMatch(command.err(), / {4}at /, 'no stack')
  }
  for (const version of ['22.19.0', '24.0.0', '25.1.0']) {
    const command = fairlead(['--version'], { execArgv: [posing(version)] })
    t.equal(await command.exit, 0, version)
  }
})

t.test('the launcher needs nothing that an old Node lacks', async (t) => {
  const text = readFileSync(launcher, 'utf8')
  // What must parse is the file itself; it imports nothing before it has looked.
  t.notMatch(text, /^import /m)
  const old = spawnSync('/usr/bin/node', ['--version'], { encoding: 'utf8' })
  if (old.status === 0 && /^v(1\d|20)\./.test(old.stdout)) {
    const run = spawnSync('/usr/bin/node', [launcher], { encoding: 'utf8' })
    t.match(run.stderr, /^Fairlead needs Node 22\.19 or later/)
  }
})

t.test('dependencies that are not installed are named with the remedy', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-launch-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  mkdirSync(join(folder, 'src'))
  copyFileSync(launcher, join(folder, 'src/launch.mjs'))
  writeFileSync(join(folder, 'src/main.ts'), "import 'commander'\n")
  const command = fairlead([], { script: join(folder, 'src/launch.mjs') })
  t.equal(await command.exit, 1)
  t.match(command.err(), /not installed here; run `npm ci` first\.\nCannot find package 'commander'/)
})

t.test('help, version and misuse', async (t) => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  const cases: [string[], number, RegExp, RegExp][] = [
    [['--version'], 0, new RegExp(`^${version}\n$`), /^$/],
    [['--help'], 0, /Usage: fairlead[^]* serve [^]* check [^]* demo [^]* catalog [^]* health /, /^$/],
    [['demo', '--help'], 0, /--every <duration> +kill one instance this often \(default:\s+4s\)/, /^$/],
    [['serve', '--help'], 0, /Usage: fairlead serve \[options\][^]*Exit codes/, /^$/],
    [['--nope'], 2, /^$/, /unknown option '--nope'/],
    [['nope'], 2, /^$/, /unknown command 'nope'/],
    [['serve', '--confg', 'x'], 2, /^$/, /Did you mean --config/],
    [[], 2, /^$/, /Usage: fairlead/],
  ]
  await Promise.all(
    cases.map(async ([args, code, out, err]) => {
      const command = fairlead(args)
      t.equal(await command.exit, code, args.join(' '))
      t.match(command.out(), out)
      t.match(command.err(), err)
    }),
  )
})

t.test('what the sources were made into is kept for the next start, though the process be killed', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-start-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const text = readFileSync(launcher, 'utf8')
  t.match(text, /main\.pathname\.endsWith\('\.ts'\)/, 'only of sources')
  // The same launcher over a checkout of two files, with a folder of dependencies.
  for (const path of ['src/core', 'node_modules']) mkdirSync(join(folder, path), { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  copyFileSync(launcher, join(folder, 'src/launch.mjs'))
  writeFileSync(
    join(folder, 'src/core/clock.ts'),
    'export const systemClock = { setTimer: (_ms: number, fn: () => void) => setImmediate(fn) }\n',
  )
  writeFileSync(
    join(folder, 'src/main.ts'),
    "setTimeout(() => process.kill(process.pid, 'SIGKILL'), 200)\nexport const a: number = 1\n",
  )
  const run = spawnSync(process.execPath, [join(folder, 'src/launch.mjs')], { encoding: 'utf8' })
  t.equal(run.signal, 'SIGKILL', run.stderr)
  t.ok(existsSync(join(folder, 'node_modules/.cache/fairlead')))
  const kept = readdirSync(join(folder, 'node_modules/.cache/fairlead'), { recursive: true })
  t.ok(kept.length > 2, String(kept.length))
})
