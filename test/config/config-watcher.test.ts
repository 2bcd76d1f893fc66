import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createConfigWatcher } from '../../src/config/config-watcher.ts'
import type { ConfigError } from '../../src/config/config-error.ts'
import type { Config } from '../../src/config/config.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { until } from '../fixtures/until.ts'

interface Line {
  readonly level: string
  readonly message: string
}

function logger(lines: Line[]) {
  const at = (level: string) => (_: object, message: string) => void lines.push({ level, message })
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

void t.test('a good one is handed over, a bad one is refused and the last good one stays', async (t) => {
  const dir = t.testdir({ 'f.yaml': 'zone: a' })
  const path = join(dir, 'f.yaml')
  const clock = new FakeClock()
  const lines: Line[] = []
  const zones: string[] = []
  const refused: (readonly ConfigError[])[] = []
  const env: Record<string, string> = { ZONE: 'z1' }
  const watcher = createConfigWatcher({
    path,
    env,
    clock,
    log: logger(lines),
    known: 'zone: a',
    onConfig: (config: Config) => {
      if (config.zone === 'unbindable') throw new Error('address in use')
      zones.push(config.zone)
    },
    onRefused: (errors) => refused.push(errors),
  })
  t.teardown(() => watcher.close())
  const passing = (condition: () => boolean): Promise<unknown> =>
    until(() => {
      clock.advance(10)
      return condition()
    })

  writeFileSync(path, 'zone: b')
  await passing(() => zones.length > 0)
  t.same(zones, ['b'], 'what was known is not handed over again')

  writeFileSync(path, 'zone: c\nlog: { level: x }\ntracing: 2\n')
  await passing(() => refused.length > 0)
  t.match(refused, [[{ path: 'log.level', line: 2 }, { path: 'tracing' }]])
  t.match(
    lines.filter(({ level }) => level === 'error').map(({ message }) => message),
    [/f\.yaml:2:15: log\.level: expected/, /f\.yaml:3:1: tracing: /, /refused; the last good one stays/],
  )
  t.same(zones, ['b'])

  await watcher.reload()
  t.equal(refused.length, 2, 'a reload judges again')

  writeFileSync(path, 'zone: "${ZONE}"')
  await watcher.reload()
  t.same(zones, ['b', 'z1'], 'once')
  env['ZONE'] = 'z2'
  await watcher.reload()
  t.same(zones, ['b', 'z1', 'z2'], 'the same text may mean something else')

  writeFileSync(path, 'zone: unbindable')
  await watcher.reload()
  t.match(lines.at(-1), { level: 'error', message: /cannot be applied; the last good one stays/ })
  writeFileSync(path, 'zone: d\nroutes: [{ service: a }, { service: b }]')
  await watcher.reload()
  t.equal(zones.at(-1), 'd', 'a failure to apply one does not end the watch')
  t.match(lines.filter(({ level }) => level === 'warn').at(-1)?.message, /routes\[1\]: routes\[0\] has the same/)
})

void t.test('a file that has gone is said, and kept', async (t) => {
  const dir = t.testdir({})
  const lines: Line[] = []
  const clock = new FakeClock()
  const watcher = createConfigWatcher({
    path: join(dir, 'f.yaml'),
    env: {},
    clock,
    log: logger(lines),
    known: 'zone: a',
    onConfig: () => void t.fail('nothing changed'),
    onRefused: () => void t.fail('nothing was refused'),
  })
  await until(() => lines.length > 0)
  t.match(lines, [{ level: 'warn', message: 'the configuration file cannot be read; the last good one stays' }])
  watcher.close()
  t.equal(clock.pending, 0)
})
