/**
 * Policy over the API: a service's split, its revisions, and back to an earlier one. It reads what is asked for strictly, says
 * what it will do, and has it written to the KV, from where every proxy takes it. Who may ask is settled before.
 */
import type { ServiceSettings } from '../config/config.ts'
import { parseServiceSettings } from '../config/parse-settings.ts'
import type { Clock } from '../core/clock.ts'
import { errorText } from '../core/errors.ts'
import { servicePolicy } from '../policy/from-config.ts'
import type { ServicePolicy, WeightsLayer } from '../policy/policy.ts'
import type { BoundService, BoundTable } from '../live/runtime.ts'
import { decodeEnvelope, type Envelope, reasonCharsMax } from '../policy/kv/envelope.ts'
import { documentKey, historyFolder } from '../policy/kv/keys.ts'
import type { KvStore } from '../policy/kv/kv-store.ts'
import { type ChangeResult, writeDocument } from '../policy/kv/write-document.ts'
import { sameData } from '../core/same.ts'
import { sharesOf } from '../table/shares.ts'
import { servicesAt } from '../table/table.ts'
import { weighGroups } from '../table/weigh.ts'
import { decodedPart, isObject, isReason, unknownService } from './asked.ts'
import { type RevisionView, type RollbackView, rollbackView } from './rollback-view.ts'
import { type SharedChange, sharedChanges } from './shared-then.ts'
import { endOfSplit, readVersions, unregistered } from './versions.ts'
import { json, type Action, type ActionRouter, type Answer } from './door.ts'

export interface PolicyPlane {
  readonly current: () => BoundTable
  /** Undefined: there is no KV to keep policy in. */
  readonly store: () => KvStore | undefined
  readonly clock: Clock
  /** Where a service's settings come from, the strongest first. */
  readonly origins: (service: string) => readonly string[]
  /** Where its weights come from, the strongest first. */
  readonly weights: (service: string) => readonly WeightsLayer[]
  /** What a service has where the KV says nothing of it. */
  readonly beneath: (service: string) => ServicePolicy
}

/** What a version gets: its weight, and its share of the requests that no rule decides, 0 to 1. */
export interface VersionShare {
  readonly version: string
  readonly weight: number
  readonly share: number
  readonly instances: number
}

/** One setting of a document before and after, as JSON text; null: it is unset. */
export interface SettingChange {
  readonly key: string
  readonly before: string | null
  readonly after: string | null
}

/** The answer of `POST /v1/services/NAME/split` and `rollback`. */
export interface PolicyAnswer {
  readonly service: string
  /** As they are now, or were before it was written. */
  readonly before: readonly VersionShare[]
  readonly after: readonly VersionShare[]
  /** The same of the routes that it shares with other services, or would: there these are what counts. */
  readonly shared: readonly SharedChange[]
  /** The weights before, as a policy wrote them; null: none did, instances decided. */
  readonly weightsBefore: Readonly<Record<string, number>> | null
  /** Where the settings come from, the strongest first. */
  readonly origins: readonly string[]
  /** For `cas`: what this was worked out from. 0: there was no document. */
  readonly modifyIndex: number
  /** Whom it concerns and whom not, a sentence each. */
  readonly affected: readonly string[]
  /** Settings of the document besides the weights that it changes. */
  readonly changes: readonly SettingChange[]
  /** Undefined: nothing was written, it was only asked. */
  readonly written?: {
    readonly revision: number
    readonly at: string
    readonly by: string
    /** What rollback needs to bring back what was, 0: nothing was. Null: a split with `weightsBefore` does that. */
    readonly undo: number | null
  }
  readonly warnings: readonly string[]
  /** Of a rollback alone. */
  readonly rollback?: RollbackView
}

const prefix = '/v1/services/'
const noStore = json(409, {
  error:
    'There is no KV to keep policy in: the catalog is files only, or policy.kv is false. Change the configuration file.',
})

/** The service and the word behind it in `/v1/services/NAME/WORD`. */
function read(path: string): { readonly name: string; readonly word: string } | undefined {
  if (!path.startsWith(prefix)) return undefined
  const [name = '', word = '', ...more] = path.slice(prefix.length).split('/')
  if (more.length > 0 || word === '') return undefined
  const decoded = decodedPart(name)
  return decoded === undefined ? undefined : { name: decoded, word }
}

/** What a POST to `/v1/services/NAME/split|rollback` does. */
export function policyActions(plane: PolicyPlane): ActionRouter {
  return (path) => {
    const found = read(path)
    if (found?.word === 'split') return splitAction(plane, found.name)
    if (found?.word === 'rollback') return rollbackAction(plane, found.name)
    return undefined
  }
}

/** The answer of `GET /v1/services/NAME/revisions`; undefined: it is another path. */
export function revisionsHandler(plane: PolicyPlane, path: string): (() => Promise<Answer>) | undefined {
  const found = read(path)
  if (found?.word !== 'revisions') return undefined
  return async () => {
    const store = plane.store()
    if (!store) return noStore
    try {
      return json(200, { service: found.name, revisions: await revisions(store, found.name) })
    } catch (error) {
      return json(502, { error: `The history cannot be read: ${errorText(error)}` })
    }
  }
}

/** Newest first. What cannot be read is left out. */
async function revisions(store: KvStore, name: string): Promise<readonly RevisionView[]> {
  const entries = await store.list(historyFolder('services', name))
  const read = entries.map(({ text }) => decodeEnvelope(text))
  return read.flatMap((one) => (one.kind === 'good' ? [one.envelope] : [])).toSorted((a, b) => b.revision - a.revision)
}

interface Common {
  readonly reason: string
  readonly cas: number | undefined
  readonly dryRun: boolean
}

/** What both actions take, or a sentence about what is wrong. */
function readCommon(body: Readonly<Record<string, unknown>>, own: readonly string[]): Common | string {
  const known = [...own, 'reason', 'cas', 'dryRun']
  for (const key of Object.keys(body))
    if (!known.includes(key)) return `There is no such key here; there are ${known.join(', ')}.`
  const { reason = '', cas, dryRun = false } = body
  if (!isReason(reason, reasonCharsMax))
    return `The reason is text of at most ${String(reasonCharsMax)} characters, on one line.`
  if (cas !== undefined && (typeof cas !== 'number' || !Number.isSafeInteger(cas) || cas < 0))
    return 'cas is the modifyIndex of an earlier answer, a whole number.'
  if (typeof dryRun !== 'boolean') return 'dryRun is true or false.'
  return { reason, cas, dryRun }
}

interface Now {
  readonly store: KvStore
  readonly service: BoundService
  /** The settings of the document in force, as they were written; undefined: there is none. */
  readonly settings: Readonly<Record<string, unknown>> | undefined
  readonly modifyIndex: number
  readonly revision: number
  /** Why there is a document that cannot be read at all; undefined: it can, or there is none. */
  readonly fault: string | undefined
}

async function lookUp(plane: PolicyPlane, name: string): Promise<Now | Answer> {
  const store = plane.store()
  if (!store) return noStore
  const bound = plane.current()
  const service = bound.services.get(name)
  if (!service) return json(404, { error: unknownService(name, bound.services.keys()) })
  try {
    const document = await store.get(documentKey('services', name))
    const reading = document && decodeEnvelope(document.text)
    const settings = reading?.kind === 'good' ? reading.envelope.settings : undefined
    return {
      store,
      service,
      settings: isObject(settings) ? settings : undefined,
      modifyIndex: document?.modifyIndex ?? 0,
      revision: reading?.kind === 'good' ? reading.envelope.revision : 0,
      fault: reading?.kind === 'bad' ? reading.reasons.join('; ') : undefined,
    }
  } catch (error) {
    return json(502, { error: `The policy in force cannot be read: ${errorText(error)}` })
  }
}

// === Split ===

function splitAction(plane: PolicyPlane, name: string): Action {
  return async (body, by) => {
    const common = readCommon(body, ['versions', 'force'])
    if (typeof common === 'string') return json(400, { error: common })
    const versions = readVersions(body['versions'])
    if (typeof versions === 'string') return json(400, { error: versions })
    const now = await lookUp(plane, name)
    if ('status' in now) return now
    const { refusal, isService, warnings } = unregistered(now.service, versions, plane.current().services)
    if (refusal !== undefined && body['force'] !== true)
      return json(409, { error: `${refusal}${isService ? '' : ` ${byForce}`}` })
    const own = { versions: Object.fromEntries(versions) }
    const whole = readSettings({ ...now.settings, ...own })
    const fault = typeof whole === 'string' ? whole : now.fault
    if (fault !== undefined && body['force'] !== true) return brokenDocument(name, fault)
    // Where it has a fault these weights stand alone, and they were read as they should be.
    const settings: Settings = typeof whole === 'string' ? { written: own, read: { versions } } : whole
    const { policy } = now.service.table
    const ends = policy.split && settings.read.split === undefined ? [endOfSplit] : []
    return await change(plane, name, now, settings, { ...common, by, warnings: [...warnings, ...ends] })
  }
}

const byForce = 'It is set all the same with --force ("force": true over HTTP).'

/** Written over as it is, it would stay without effect or lose what its last good form says besides weights. */
function brokenDocument(name: string, fault: string): Answer {
  const key = documentKey('services', name)
  return json(409, {
    error: `The document ${key} in the KV cannot be used: ${fault}. Mend it, or go back with "rollback ${name}", and split then; with --force ("force": true over HTTP) these weights alone take its place.`,
  })
}

// === Rollback ===

function rollbackAction(plane: PolicyPlane, name: string): Action {
  return async (body, by) => {
    const common = readCommon(body, ['revision'])
    if (typeof common === 'string') return json(400, { error: common })
    const asked = body['revision']
    if (asked !== undefined && (typeof asked !== 'number' || !Number.isSafeInteger(asked) || asked < 0))
      return json(400, { error: 'revision is a whole number; 0 is what was before any revision.' })
    const now = await lookUp(plane, name)
    if ('status' in now) return now
    let known: readonly RevisionView[]
    try {
      known = await revisions(now.store, name)
    } catch (error) {
      return json(502, { error: `The history cannot be read: ${errorText(error)}` })
    }
    const newest = known[0]?.revision ?? now.revision
    // Where somebody wrote the document without its history, what was known last is what to go back to.
    const isNewest =
      (now.revision === newest && sameData(now.settings, known[0]?.settings)) ||
      (now.modifyIndex === 0 && known[0]?.settings === null)
    const usable = known.filter(isUsable)
    const older = usable.find((one) => one.revision < newest)
    const revision = asked ?? (isNewest ? (older?.revision ?? 0) : newest)
    if (newest === 0) return json(409, { error: 'Nothing has been changed yet, so there is nothing to go back to.' })
    const target = revision === 0 ? null : known.find((one) => one.revision === revision)?.settings
    if (target === undefined)
      return json(404, {
        error: `There is no revision ${String(revision)}; kept are ${known.map((one) => one.revision).join(', ')}.`,
      })
    const reason = common.reason === '' ? `rollback to revision ${String(revision)}` : common.reason
    const settings = readSettings(target ?? undefined)
    if (typeof settings === 'string')
      return json(409, { error: `Revision ${String(revision)} cannot be used: ${settings}` })
    const rollback = rollbackView(known, usable, revision, now.settings ?? null, isNewest)
    return await change(plane, name, now, settings, { ...common, reason, by, warnings: [], rollback })
  }
}

function isUsable({ settings }: RevisionView): boolean {
  return typeof readSettings(settings) !== 'string'
}

// === Both ===

/** A document's settings. */
interface Settings {
  /** As they stand there; undefined: there is none. */
  readonly written: Readonly<Record<string, unknown>> | undefined
  readonly read: ServiceSettings
}

/** Undefined is no document. A text says what is wrong. */
function readSettings(json: unknown): Settings | string {
  const parsed = parseServiceSettings(json ?? {})
  if (parsed.kind === 'bad') return parsed.messages.join('; ')
  return { written: isObject(json) ? json : undefined, read: parsed.settings }
}

interface Change extends Common {
  readonly by: string
  readonly warnings: readonly string[]
  readonly rollback?: RollbackView
}

async function change(
  plane: PolicyPlane,
  name: string,
  now: Now,
  { written: settings, read }: Settings,
  { reason, cas, dryRun, by, warnings, rollback }: Change,
): Promise<Answer> {
  const before = sharesNow(now.service)
  const { policy } = now.service.table
  const then = servicePolicy(read, plane.beneath(name))
  const { shared, unknown } = sharedChanges(plane.current(), now.service, then)
  const answer: PolicyAnswer = {
    service: name,
    before,
    shared,
    after: sharesWith(now.service, then.versions),
    weightsBefore: policy.versions ? Object.fromEntries(policy.versions) : null,
    origins: plane.origins(name),
    modifyIndex: now.modifyIndex,
    affected: affectedBy(plane.current(), name),
    changes: changesOf(now.settings, settings),
    warnings: [...warnings, ...unknown, ...warningsOf(then)],
    ...(rollback ? { rollback } : {}),
  }
  if (dryRun) return json(200, answer)
  const result = await writeDocument(now.store, plane.clock, {
    kind: 'services',
    name,
    by,
    reason,
    settings,
    cas: cas ?? now.modifyIndex,
  })
  if (result.kind !== 'written') return failed(result)
  const { revision, at }: Envelope<unknown> = result.envelope
  return json(200, { ...answer, written: { revision, at, by, undo: undoOf(answer, now, result.replaced) } })
}

/** Weights alone bring back what was only where the document said them itself, and nothing else changed. */
function undoOf(answer: PolicyAnswer, now: Now, replaced: number | undefined): number | null {
  const byWeights =
    answer.weightsBefore !== null && answer.changes.length === 0 && now.settings?.['versions'] !== undefined
  return byWeights ? null : (replaced ?? null)
}

function failed(result: Exclude<ChangeResult, { kind: 'written' }>): Answer {
  const status = { conflict: 409, refused: 403, unreachable: 502 }[result.kind]
  return json(status, { error: result.message })
}

function sharesNow({ groups }: BoundService): readonly VersionShare[] {
  return shares(groups.map(({ version, weight, endpoints }) => ({ version, weight, instances: endpoints.length })))
}

function sharesWith(service: BoundService, versions: ReadonlyMap<string, number> | undefined): readonly VersionShare[] {
  const { weights } = weighGroups('', service.table.groups, versions)
  const missing = [...(versions ?? [])].filter(([version]) => version !== '*' && !weights.has(version))
  return shares([
    ...service.groups.map(({ version, endpoints }) => ({
      version,
      weight: weights.get(version) ?? 0,
      instances: endpoints.length,
    })),
    ...missing.map(([version, weight]) => ({ version, weight, instances: 0 })),
  ])
}

/** Who has no instance gets nothing, whatever it weighs. */
function shares(rows: readonly Omit<VersionShare, 'share'>[]): readonly VersionShare[] {
  const parts = sharesOf(rows.map(({ weight, instances }) => ({ weight, counts: instances > 0 })))
  return rows.map((row, at) => ({ ...row, share: parts[at] ?? 0 }))
}

const routesNamedMax = 8

/** Whose requests the weights of a service decide. */
function affectedBy({ table }: BoundTable, name: string): readonly string[] {
  const routes = table.routes.filter((route) => servicesAt(route).includes(name))
  const text = (own: boolean): string => {
    const found = routes.filter(({ weights }) => (weights !== undefined) === own)
    const named = found.slice(0, routesNamedMax).map(({ host, path }) => `${host || '*'}${path}`)
    return [...named, ...(found.length > named.length ? [`${String(found.length - named.length)} more`] : [])].join(
      ', ',
    )
  }
  const [shared, own] = [text(false), text(true)]
  return [
    shared === '' ? 'no route that goes by these weights' : `requests to ${shared} that no rule decides`,
    ...(own === '' ? [] : [`not those to ${own}, where the route has weights of its own`]),
  ]
}

function changesOf(
  before: Readonly<Record<string, unknown>> | undefined,
  after: Readonly<Record<string, unknown>> | undefined,
): readonly SettingChange[] {
  const text = (value: unknown): string | null => (value === undefined ? null : JSON.stringify(value))
  const keys = new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])
  return [...keys]
    .filter((key) => key !== 'versions')
    .map((key) => ({ key, before: text(before?.[key]), after: text(after?.[key]) }))
    .filter((one) => one.before !== one.after)
}

function warningsOf({ versions, sticky }: ServicePolicy): readonly string[] {
  const served = [...(versions?.values() ?? [])].filter((weight) => weight > 0)
  if (served.length < 2 || sticky !== undefined) return []
  return ['Without sticky, each request is split by chance: a user may meet both versions.']
}
