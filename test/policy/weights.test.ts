/** Who says how a service's requests are shared: what a document hides, and where that stands which names what is not there. */
import t from 'tap'
import { load } from '../../src/config/load.ts'
import { defaultAddressCheck } from '../../src/policy/addresses.ts'
import { entrySettings } from '../../src/policy/consul-entries/settings.ts'
import { translateEntries } from '../../src/policy/consul-entries/translate.ts'
import { decodeDocuments, type DecodedDocuments } from '../../src/policy/kv/decode-documents.ts'
import { type DocumentSettings, layeredPolicy, parseDocument } from '../../src/policy/layers.ts'
import type { Policy } from '../../src/policy/policy.ts'
import { weightsLayers } from '../../src/policy/weights.ts'
import { buildTable, emptyTable } from '../../src/table/build.ts'
import { instance, service, snapshot } from '../fixtures/tables.ts'

type Documents = Readonly<Record<string, unknown>>

function documentsOf(documents: Documents, previous?: DecodedDocuments<DocumentSettings>) {
  const texts = Object.entries(documents).map(([key, settings], at) => {
    const text = JSON.stringify({ revision: 2, by: 'alice', at: '2026-11-26T07:00:00Z', reason: '', settings })
    return [key, { key, text, modifyIndex: at + 1 }] as const
  })
  return decodeDocuments('kv:fairlead', new Map(texts), parseDocument, previous)
}

function policyOf(text: string, documents: Documents, entries: Readonly<Record<string, object>> = {}): Policy {
  const { config, errors } = load(text, {}, 'f')
  if (!config) throw new Error(errors[0]?.message)
  const found = Object.entries(entries).map(([key, content]) => {
    const [kind = '', name = ''] = key.split('/')
    return [key, { key, text: JSON.stringify({ Kind: kind, Name: name, ...content }), modifyIndex: 1 }] as const
  })
  return layeredPolicy(config, defaultAddressCheck, {
    source: 'kv:fairlead',
    documents: documentsOf(documents),
    entries: entrySettings(translateEntries(new Map(found)), { meta: 'version', tag: 'version=' }),
  })
}

const split = 'services: { web: { split: [{ version: "1", weight: 80 }, { service: next, weight: 20 }] } }\n'
const kv = 'kv:fairlead/services/web'
const over = (policy: Policy): readonly string[] => weightsLayers(policy, 'web').map(({ origin }) => origin)

t.test(
  'weights that are all zero are refused in a document as in the file, and the last good form stays',
  async (t) => {
    const good = documentsOf({ 'services/web': { versions: { 1: 1 } } })
    const bad = documentsOf({ 'services/web': { versions: { 1: 0 }, failover: [] } }, good)
    t.match(bad.problems, [{ code: 'bad-policy-document', message: /versions: every weight is zero.*last good form/ }])
    t.match(bad.documents.get('services/web')?.envelope.settings, good.documents.get('services/web')?.envelope.settings)
    t.match(documentsOf({ 'routes/web': { service: 'web', versions: { 1: 0 } } }).problems, [
      { message: /versions: every weight is zero/ },
    ])
    t.match(documentsOf({ 'services/web': { health: { baseEjection: '2m', maxEjection: '1m' } } }).problems, [
      { message: /health\.baseEjection: it is longer than maxEjection/ },
    ])
  },
)

t.test('a document that hides a split is told as one that hides weights', async (t) => {
  const weights = policyOf(split, { 'services/web': { versions: { 1: 1 } } })
  t.match(weights.problems, [
    {
      code: 'versions-overridden',
      notice: true,
      message: /^its split in config:services\.web have no effect: kv:.*with 1=1\./,
    },
  ])
  t.same(over(weights), [kv, 'config:services.web'])
  const splitter = { 'service-splitter/web': { Splits: [{ Weight: 50 }, { Weight: 50, Service: 'next' }] } }
  const both = policyOf(split, { 'services/web': { versions: { 1: 1 } } }, splitter)
  t.match(both.problems, [
    { message: /split in config:services\.web and its split in config-entries\/service-splitter\/web/ },
  ])
  t.same(over(both), [kv, 'config:services.web', 'config-entries/service-splitter/web'])
  const other = { split: [{ weight: 1 }, { service: 'next', weight: 1 }] }
  t.match(policyOf(split, { 'services/web': other }).problems, [
    { message: /its split in .* with a split of its own\./ },
  ])
  const same = {
    split: [
      { version: '1', weight: 80 },
      { service: 'next', weight: 20 },
    ],
  }
  t.same(policyOf(split, { 'services/web': same }).problems, [])
  t.same(
    policyOf('services: { web: { versions: { 1: 1 } } }\n', { 'services/web': other }).problems,
    [],
    'weights stay',
  )
})

t.test('what a split or failover names and nobody registered is told where that is written', async (t) => {
  const from = snapshot(service('web', [instance('web', 'web-1')]))
  const told = (policy: Policy) =>
    buildTable(emptyTable, from, policy)
      .problems.filter(({ code }) => code === 'no-such-service')
      .map(({ code, where }) => `${code} ${where}`)
  const routes = 'routes: [{ service: web }]\n'
  const written = { 'services/web': { split: [{ weight: 9 }, { service: 'shop-nxt', weight: 1 }] } }
  t.same(told(policyOf(routes, written)), [`no-such-service ${kv}`])
  t.same(told(policyOf(routes, { 'services/web': { failover: ['shop-euu'] } })), [`no-such-service ${kv}`])
  const file = `${routes}services: { web: { failover: [shop-euu] } }\n`
  t.same(told(policyOf(file, {})), ['no-such-service config:services.web'])
  t.same(told(policyOf(`${routes}defaults: { failover: [shop-euu] }\n`, {})), ['no-such-service config:defaults'])
  t.same(told(policyOf('routes: [{ service: web, failover: [shop-euu] }]\n', {})), ['no-such-service config:routes[0]'])
})
