/** What a small proxy does not load, and with which settings of the heap it is started, alike wherever it is. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { definitions, quiet } from '../fixtures/app.ts'
import { fairlead } from '../fixtures/command.ts'
import { until } from '../fixtures/until.ts'

const read = (file: string): string => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')

t.test('a proxy with its catalog in a file loads no HTTP client, no HTTP/2 and no second undici', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-lean-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'services.json'), definitions('web', []))
  writeFileSync(
    join(folder, 'fairlead.yaml'),
    `${quiet}catalog: { file: services.json }\nroutes: [{ path: /, service: web }]\n`,
  )
  const tell = `process.on('SIGUSR2', () => process.stderr.write('LOADED ' + process.moduleLoadList.join(' ') + ' ' +
    Object.keys(process.getBuiltinModule('module')._cache).join(' ') + '\\n'))`
  const command = fairlead(['serve', '--config', join(folder, 'fairlead.yaml')], {
    execArgv: ['--import', `data:text/javascript,${encodeURIComponent(tell)}`],
  })
  t.teardown(() => command.child.kill('SIGKILL'))
  await until(() => command.out().includes('listening on'), { timeoutMs: 15_000, what: 'a start' })
  command.child.kill('SIGUSR2')
  const loaded = await until(() => /^LOADED (.*)$/m.exec(command.err())?.[1], {
    timeoutMs: 15_000,
    what: 'its modules',
  })
  t.match(loaded, 'NativeModule http ')
  t.match(loaded, /prom-client/)
  t.notMatch(loaded, /http2|undici/)
})

t.test('of the languages of the schema library one is loaded', async (t) => {
  const record = `const { registerHooks } = process.getBuiltinModule('module')
    registerHooks({ load(url, context, next) {
      if (url.includes('/zod/')) process.stderr.write('LOADED ' + url + '\\n')
      return next(url, context)
    } })`
  const command = fairlead(['check', '--help'], {
    execArgv: ['--import', `data:text/javascript,${encodeURIComponent(record)}`],
  })
  t.equal(await command.exit, 0)
  const loaded = [...command.err().matchAll(/^LOADED .*\/zod\/v4\/(\S+)$/gm)].map((match) => match[1] ?? '')
  t.ok(loaded.includes('classic/schemas.js'))
  t.same(
    loaded.filter((file) => file.startsWith('locales/')),
    ['locales/en.js'],
  )
})

t.test('the image has the settings of the heap that npm start has', async (t) => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: { start: string } }
  const settings = scripts.start.split(' ').filter((word) => word.startsWith('--'))
  t.same(settings, ['--max-semi-space-size=4', '--expose-gc'])
  const entry = JSON.parse(/^ENTRYPOINT (.*)$/m.exec(read('Dockerfile'))?.[1] ?? '[]') as string[]
  t.same(
    entry.filter((word) => word.startsWith('--')),
    settings,
  )
  t.match(read('README.md'), settings.join(' '))
})
