import { readFileSync } from 'node:fs'
import t from 'tap'
import { load } from '../../src/config/load.ts'
import { policyFromConfig } from '../../src/policy/from-config.ts'
import { fileSchema } from '../../src/config/schema.ts'
import { bare } from '../../src/config/locate.ts'

const text = readFileSync(new URL('../../templates/fairlead.yaml', import.meta.url), 'utf8')

/** The template as it is when every setting that stands in a comment is taken out of it. */
const uncommented = text.replaceAll(/^( *)# ((?: {2})?[a-z0-9][a-zA-Z0-9]*:(?: |$))/gm, '$1$2')

void t.test('the template says the defaults', (t) => {
  const { config, warnings } = load(text, {}, 'f')
  const { config: built } = load('', {}, 'f')
  if (!config || !built) throw new Error('the template does not load')
  t.same(warnings, [])
  for (const key of ['status', 'admin', 'zone', 'versionFrom', 'shutdown', 'log', 'limits', 'stateDir'] as const)
    t.same(config[key], built[key], key)
  t.same(config.listen, [{ ...built.listen[0], name: 'public' }])
  const { name, address, stale, waitMs } = config.catalog[0] as never
  t.match(built.catalog, [{ name, address, stale, waitMs }])
  t.same(policyFromConfig(config).defaults, policyFromConfig(built).defaults)
  t.end()
})

void t.test('every top-level setting stands in it', (t) => {
  const root = bare(fileSchema)
  for (const key of root?.kind === 'section' ? root.keys.keys() : [])
    t.match(text, new RegExp(`^(?:# )?${key}:`, 'm'), key)
  t.end()
})

void t.test('what stands in comments is right too, once it is taken out of them', (t) => {
  // Several sources are a list; here they stand as alternatives.
  const one = uncommented.replace(/^ {2}file: .*\n/m, '').replace(/^ {2}embedded: .*\n/m, '')
  t.not(one, text)
  const { errors = [], config } = load(one, {}, 'f')
  t.same(
    errors.map(({ line, message }) => `${String(line)} ${message}`),
    [],
  )
  t.match(config?.register, { service: 'fairlead', port: 8080, ttlMs: 15_000, deregisterAfterMs: 600_000 })
  t.equal(config?.stateDir, '/var/lib/fairlead')
  t.same([...(config?.errorPages ?? [])], [[503, 'error.html']])
  for (const source of [/^ {2}# (file: \S+)/m, /^ {2}# (embedded: \{.*\})/m]) {
    const entry = source.exec(text)?.[1] ?? ''
    t.ok(load(`catalog: { ${entry} }`, {}, 'f').config, entry)
  }
  t.end()
})
