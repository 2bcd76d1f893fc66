/** What config entries come to as settings, and what becomes of those that no setting says. */
import fc from 'fast-check'
import t from 'tap'
import { load } from '../../src/config/load.ts'
import { entryDocuments } from '../../src/policy/consul-entries/entries.ts'
import { globOf } from '../../src/policy/consul-entries/glob-of.ts'
import { type EntrySettings, entrySettings } from '../../src/policy/consul-entries/settings.ts'
import { translateEntries } from '../../src/policy/consul-entries/translate.ts'
import { policyFromConfig } from '../../src/policy/from-config.ts'
import { weightsLayers } from '../../src/policy/weights.ts'
import { compileGlob } from '../../src/table/glob.ts'

type Entries = Readonly<Record<string, object>>

const names = { meta: 'version', tag: 'version=' }

function settingsOf(entries: Entries, previous?: EntrySettings): EntrySettings {
  const documents = Object.entries(entries).map(([key, content]) => {
    const [kind = '', name = ''] = key.split('/')
    return [key, { key, text: JSON.stringify({ Kind: kind, Name: name, ...content }), modifyIndex: 1 }] as const
  })
  return entrySettings(translateEntries(new Map(documents)), names, previous)
}

const subsets = {
  Subsets: { v1: { Filter: 'Service.Meta.version == 1' }, v2: { Filter: '"version=2" in Service.Tags' } },
}
const resolver = { 'service-resolver/web': subsets }
const routes = (...all: readonly object[]): object => ({ Routes: all })
const whole = (service: string, more: object = {}): object => ({ Splits: [{ Weight: 100, Service: service, ...more }] })
const rulesOf = (entries: Entries, service = 'web'): unknown =>
  settingsOf(entries).services.get(service)?.settings.rules

t.test('PrefixRewrite: the path itself and what is below it, on a segment boundary', async (t) => {
  const to = (match: object, rewrite: string): unknown =>
    rulesOf({
      ...resolver,
      'service-router/web': routes({ Match: { HTTP: match }, Destination: { Service: 'api', PrefixRewrite: rewrite } }),
    })
  const action = (strip: string | undefined, prepend: string | undefined): object => ({
    kind: 'service',
    service: 'api',
    version: undefined,
    rewrite: { strip, prepend },
  })
  const path = (kind: string, value: string): object => ({ subject: 'path', match: { kind, value } })
  t.same(to({ PathPrefix: '/admin' }, '/'), [
    { when: [path('equals', '/admin')], action: action('/admin', undefined) },
    { when: [path('prefix', '/admin/')], action: action('/admin', undefined) },
  ])
  t.same(to({ PathPrefix: '/admin/' }, '/v2/'), [
    { when: [path('prefix', '/admin/')], action: action('/admin', '/v2') },
  ])
  t.same(to({ PathPrefix: '/' }, '/v2'), [{ when: [path('prefix', '/')], action: action(undefined, '/v2') }])
  t.same(to({ PathExact: '/a', Methods: ['GET'] }, '/b'), [
    {
      when: [path('equals', '/a'), { subject: 'method', match: { kind: 'oneOf', values: ['GET'] } }],
      action: action('/a', '/b'),
    },
  ])
  for (const bad of ['v2', '/a/../b', '/a?b', '/a b', '/*'])
    t.match(
      settingsOf({
        'service-router/web': routes({ Match: { HTTP: { PathPrefix: '/x' } }, Destination: { PrefixRewrite: bad } }),
      }).problems,
      [{ code: 'bad-config-entry', where: 'config-entries/service-router/web', message: /no path that can be put/ }],
      bad,
    )
  const glob = routes({ Match: { HTTP: { PathRegex: '/x/.*' } }, Destination: { PrefixRewrite: '/' } })
  t.match(settingsOf({ 'service-router/web': glob }).problems, [{ message: /needs a PathExact or a PathPrefix/ }])
})

t.test('redirects and whole splits lead on; circles are told', async (t) => {
  const on = (service: string, version?: string): unknown => [
    { when: [], action: { kind: 'service', service, version } },
  ]
  t.same(rulesOf({ 'service-splitter/web': whole('shop') }), on('shop'))
  t.same(rulesOf({ 'service-resolver/web': { Redirect: { Service: 'shop' } } }), on('shop'))
  const through = { ...resolver, 'service-resolver/old': { Redirect: { Service: 'web', ServiceSubset: 'v2' } } }
  t.same(rulesOf(through, 'old'), on('web', '2'), 'a subset told by a tag')
  t.same(rulesOf({ ...through, 'service-splitter/entry': whole('old') }, 'entry'), on('web', '2'))
  const circle = {
    'service-resolver/a': { Redirect: { Service: 'b' } },
    'service-resolver/b': { Redirect: { Service: 'a' } },
  }
  t.match(settingsOf(circle).problems, [{ message: /in a circle/ }, { message: /in a circle/ }])
})

t.test('what cannot be said costs its entry, which keeps its last good form', async (t) => {
  const split = (...shares: readonly (readonly [number, object])[]): object => ({
    Splits: shares.map(([Weight, more]) => ({ Weight, ...more })),
  })
  const good = settingsOf({
    ...resolver,
    'service-splitter/web': split([90, { ServiceSubset: 'v1' }], [10, { ServiceSubset: 'v2' }]),
  })
  const weights = ({ services }: EntrySettings): unknown => [
    ...(services.get('web')?.settings.versions ?? new Map<string, number>()),
  ]
  t.same(weights(good), [
    ['1', 90],
    ['2', 10],
  ])
  const cases: readonly (readonly [Entries, RegExp])[] = [
    [
      { ...resolver, 'service-splitter/web': split([50, { ServiceSubset: 'v1' }], [50, { ServiceSubset: 'v9' }]) },
      /subset v9/,
    ],
  ]
  for (const [entries, reason] of cases) {
    const bad = settingsOf(entries, good)
    t.match(bad.problems, [{ where: 'config-entries/service-splitter/web', message: reason }])
    t.match(bad.problems[0]?.message, /its last good form stays in force/)
    t.same(weights(bad), weights(good))
    t.match(settingsOf(entries).problems[0]?.message, /it has no effect/)
  }
  const other = {
    'service-resolver/web': { DefaultSubset: 'v1', Subsets: { v1: { Filter: 'Service.Meta.colour == red' } } },
  }
  t.match(settingsOf(other).problems, [
    { message: /is no single version: its Filter must be Service\.Meta\.version == VERSION/ },
  ])
})

t.test('what says nothing of where requests go costs only itself', async (t) => {
  const entries = {
    'service-resolver/web': {
      ...subsets,
      ConnectTimeout: '3s',
      Failover: { '*': { Service: 'spare' } },
      Subsets: { v1: { Filter: 'Service.Meta.version == 1', OnlyPassing: true } },
    },
    'service-router/web': routes({
      Match: { HTTP: { PathPrefix: '/a' } },
      Destination: { RequestTimeout: '5s', NumRetries: 2 },
    }),
  }
  const { problems, services } = settingsOf(entries)
  t.same(
    problems.map(({ code }) => code),
    ['config-entry-part', 'config-entry-part', 'config-entry-part'],
  )
  t.match(problems, [{ message: /RequestTimeout has no effect/ }, { message: /retries/ }, { message: /OnlyPassing/ }])
  t.match(services.get('web')?.settings, { timeouts: { connect: 3_000 } })
  t.same(services.get('web')?.origins, ['config-entries/service-router/web', 'config-entries/service-resolver/web'])
})

t.test('of an entry that is not used nothing more is said', async (t) => {
  const { problems } = settingsOf({
    'service-resolver/web': { ...subsets, Failover: { v1: { Service: 'next' } }, DefaultSubset: 'nine' },
    'service-router/web': routes({ Destination: { Service: 'web', ServiceSubset: 'nine', RequestTimeout: '5s' } }),
  })
  t.same([...new Set(problems.map(({ code }) => code))], ['bad-config-entry'])
})

t.test('shares of other services, and who stands by', async (t) => {
  const share = (Weight: number, Service?: string, ServiceSubset?: string): object => ({
    Weight,
    Service,
    ServiceSubset,
  })
  const of = (entries: Entries): unknown => settingsOf(entries).services.get('web')?.settings
  const splits = (...Splits: readonly object[]): Entries => ({ ...resolver, 'service-splitter/web': { Splits } })
  const part = (service: string, version: string | undefined, weight: number): object => ({ service, version, weight })
  t.match(of(splits(share(90, undefined, 'v1'), share(10, 'next'))), {
    split: [part('web', '1', 90), part('next', undefined, 10)],
  })
  t.match(of(splits(share(50, 'web', 'v1'), share(50))), { split: [part('web', '1', 50), part('web', undefined, 50)] })
  t.match(
    of({
      ...splits(share(60, 'old'), share(40, 'web', 'v2')),
      'service-resolver/old': { Redirect: { Service: 'web', ServiceSubset: 'v2' } },
    }),
    {
      versions: new Map([['2', 100]]),
    },
    'redirects are followed',
  )
  t.match(
    of({
      'service-resolver/web': { ...subsets, DefaultSubset: 'v1' },
      'service-splitter/web': { Splits: [share(50), share(50, 'next')] },
    }),
    {
      split: [part('web', '1', 50), part('next', undefined, 50)],
    },
    'the default subset is the version of one that names none',
  )

  const failover = (Failover: object, more: object = {}): EntrySettings =>
    settingsOf({ 'service-resolver/web': { ...subsets, ...more, Failover }, 'service-resolver/next': subsets })
  const all = { Targets: [{ Service: 'next', ServiceSubset: 'v2' }, { Service: 'last' }] }
  const standby = [
    { service: 'next', version: '2' },
    { service: 'last', version: undefined },
  ]
  t.match(failover({ '*': all }).services.get('web')?.settings, { failover: standby })
  t.match(failover({ v1: all }, { DefaultSubset: 'v1' }).services.get('web')?.settings, { failover: standby })
  const untold = failover({ v1: all, '*': { Service: 'next', ServiceSubset: 'v9' } })
  t.equal(untold.services.get('web')?.settings.failover, undefined)
  t.match(untold.problems, [
    { code: 'config-entry-part', message: /Failover\.v1 has no effect: one version by itself .* \(next, last\)/ },
    { code: 'config-entry-part', message: /Failover\.\* names subset v9, .*; it has no effect/ },
  ])
  t.match(failover({ '*': { ...all, Service: 'x' } }).problems, [{ message: /Targets stand beside Service/ }])
})

t.test('who says weights by version has said that nobody else has a share', async (t) => {
  const entries = settingsOf({ 'service-splitter/web': { Splits: [{ Weight: 50 }, { Weight: 50, Service: 'next' }] } })
  const split = (text: string): unknown => {
    const { config } = load(`routes: [{ service: web }]\n${text}`, {}, 'f')
    return config && policyFromConfig(config, undefined, entries).services.get('web')?.split?.length
  }
  t.equal(split(''), 2)
  t.equal(split('services: { web: { retry: { attempts: 1 } } }'), 2)
  t.equal(split('services: { web: { versions: { 1: 1 } } }'), undefined)
  t.equal(
    split(
      'services: { web: { versions: { 1: 1 }, split: [{ weight: 1 }, { service: x, weight: 1 }, { service: y, weight: 0 }] } }',
    ),
    3,
  )
})

t.test('weights: whose they are, under the configuration file and its defaults', async (t) => {
  const entries = settingsOf({
    ...resolver,
    'service-splitter/web': {
      Splits: [
        { Weight: 90, ServiceSubset: 'v1' },
        { Weight: 10, ServiceSubset: 'v2' },
      ],
    },
    'service-splitter/alone': whole('alone'),
  })
  const layers = (text: string, service: string): readonly string[] => {
    const { config, errors } = load(text, {}, 'f')
    if (!config) throw new Error(errors[0]?.message)
    return weightsLayers(policyFromConfig(config, undefined, entries), service).map(({ origin }) => origin)
  }
  const entry = 'config-entries/service-splitter/web'
  t.same(layers('routes: [{ service: web }]', 'web'), [entry])
  const both = 'services: { web: { versions: { 1: 1 } } }\ndefaults: { versions: { 2: 1 } }\n'
  t.same(layers(both, 'web'), ['config:services.web', entry, 'config:defaults'])
  t.same(layers(both, 'other'), ['config:defaults'])
})

t.test('as a property: a glob of a regular expression means the same', async () => {
  const piece = fc.oneof(
    fc.constantFrom('.*', '\\.', '/', 'a', 'b', '-', '\\*', '\\+'),
    fc.constantFrom('a', '/b', '.*'),
  )
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 8 }),
      fc.array(fc.constantFrom('a', 'b', '/', '.', '-', '+', '*'), { maxLength: 10 }),
      (pieces, chars) => {
        const pattern = pieces.join('')
        const glob = globOf(pattern)
        if (glob === undefined) return true
        const text = chars.join('')
        return compileGlob(glob)(text) === new RegExp(`^(?:${pattern})$`, 's').test(text)
      },
    ),
    { numRuns: 2_000 },
  )
})

t.test('what is too much costs itself alone', async (t) => {
  const many = Array.from({ length: 1_001 }, () => ({ Destination: {} }))
  t.match(settingsOf({ 'service-router/web': { Routes: many } }).problems, [
    { message: /Routes are 1001, at most 1000/ },
  ])
  const splits = (count: number): object => ({
    Splits: [{ Weight: 100 }, ...Array.from({ length: count - 1 }, (_, at) => ({ Service: `a${String(at)}` }))],
  })
  const full = settingsOf({ 'service-splitter/web': splits(100) })
  t.equal(full.services.get('web')?.settings.split?.length, 100)
  t.match(settingsOf({ 'service-splitter/web': splits(101) }).problems, [
    { where: 'config-entries/service-splitter/web', message: /Splits are 101, at most 100/ },
  ])
  const targets = (count: number): object => ({
    Failover: { '*': { Targets: Array.from({ length: count }, (_, at) => ({ Service: `a${String(at)}` })) } },
  })
  t.equal(settingsOf({ 'service-resolver/web': targets(16) }).services.get('web')?.settings.failover?.length, 16)
  t.match(settingsOf({ 'service-resolver/web': targets(17) }).problems, [
    { where: 'config-entries/service-resolver/web', message: /Failover\.\*\.Targets are 17, at most 16/ },
  ])
  let deep: unknown = []
  for (let i = 0; i < 20_000; i++) deep = [deep]
  const documents = entryDocuments('service-router', [
    { Name: 'deep', Routes: deep },
    { Name: 'web', Routes: [] },
  ])
  t.same(
    documents.map(({ key }) => key),
    ['service-router/deep', 'service-router/web'],
  )
  const { problems } = translateEntries(new Map(documents.map((one) => [one.key, one])))
  t.match(problems, [{ code: 'bad-config-entry', where: 'config-entries/service-router/deep' }])
})
