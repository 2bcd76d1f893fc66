/** A change of policy for a person: what it will do, what it has done, how to undo it. Pure; what comes from elsewhere is escaped. */
import { counted } from '../../core/counted.ts'
import type { SharedChange } from '../../admin/shared-then.ts'
import type { RevisionRef, RollbackView } from '../../admin/rollback-view.ts'
import { commandName } from '../command-name.ts'
import { percent, routesText, safeLong as safe, serviceText, timeText } from '../table-text.ts'
import type { PolicyChange, Share } from './answer.ts'

const nameOf = (version: string): string => (version === '' ? '(no version)' : safe(version))

/** What will be done and to whom, newline included. */
export function planText(verb: 'split' | 'rollback', change: PolicyChange): string {
  const { service, before, after, shared = [], affected, changes, warnings } = change
  const old = new Map(before.map((row) => [row.version, row]))
  const width = Math.max(...after.map(({ version }) => nameOf(version).length))
  const rows = after.map((row) => `  ${nameOf(row.version).padEnd(width)}  ${rowText(old.get(row.version), row)}`)
  const own = shared.length > 0 ? ['  by its weights alone:'] : []
  const settings = changes.map(
    (one) => `  ${safe(one.key)}: ${safe(one.before ?? 'unset')} -> ${safe(one.after ?? 'unset')}`,
  )
  const who = affected.map((sentence) => `  affects: ${safe(sentence)}`)
  const back = change.rollback ? rollbackLines(service, change.rollback) : []
  const head = `${verb} of ${safe(service)}, at every proxy`
  return [
    head,
    ...back,
    ...own,
    ...rows,
    ...shared.flatMap(sharedLines),
    ...settings,
    ...who,
    ...warningLines(warnings),
    '',
  ].join('\n')
}

function rollbackLines(service: string, { reapplies, undoes, earlier }: RollbackView): readonly string[] {
  const again = reapplies
    ? `applies again: ${revisionText(reapplies)}`
    : 'removes the document: what is said elsewhere (the configuration file, for one) is in force again'
  const went = undoes?.wentBackTo ?? null
  const back =
    went === null ? '' : `, which had gone back to ${went === 0 ? 'no document' : `revision ${String(went)}`}`
  const undone = undoes ? `${revisionText(undoes)}${back}` : 'what another tool wrote or removed since'
  const further = earlier.map(
    (one) =>
      `  further back: ${commandName()} rollback ${shellWord(service)} ${String(one.revision)}   (${writtenText(one)})`,
  )
  const first = reapplies ? [`  before any: ${commandName()} rollback ${shellWord(service)} 0`] : []
  return [`  ${again}`, `  undoes: ${undone}`, ...further, ...first]
}

const revisionText = (one: RevisionRef): string => `revision ${String(one.revision)} (${writtenText(one)})`

const writtenText = ({ by, at, reason }: RevisionRef): string =>
  `${safe(by)}, ${timeText(at)}${reason === '' ? '' : `: ${safe(reason)}`}`

function rowText(before: Share | undefined, after: Share): string {
  const was = percent(before?.share ?? 0).padStart(7)
  const now = percent(after.share).padStart(7)
  return `${was} -> ${now}   ${counted(after.instances, 'instance')}`
}

function sharedLines({ routes, shares, unanswered }: SharedChange): readonly string[] {
  const rows = [
    ...shares.map((one) => [serviceText({ service: one.service, version: one.version ?? '' }), one] as const),
    ...(unanswered.now + unanswered.after > 0 ? [['nobody (503)', unanswered] as const] : []),
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  return [
    `  of requests to ${routesText(routes)}, which it shares:`,
    ...rows.map(
      ([name, { now, after }]) =>
        `  ${name.padEnd(width)}  ${percent(now).padStart(7)} -> ${percent(after).padStart(7)}`,
    ),
  ]
}

function warningLines(warnings: readonly string[]): readonly string[] {
  return warnings.map((warning) => `  warning: ${safe(warning)}`)
}

/** What was done, newline included. */
export function outcomeText(change: PolicyChange): string {
  const { service, after, shared = [], written, weightsBefore, warnings } = change
  const shares = after.map(({ version, share }) => `${nameOf(version)} ${percent(share)}`).join(', ')
  const revision = written === undefined ? '' : ` (revision ${String(written.revision)} by ${safe(written.by)})`
  return [
    `${safe(service)}: ${shares}${revision}.`,
    ...shared.map((one) => `  ${sharedText(one)}`),
    ...warningLines(warnings),
    `Before: ${undoText(service, weightsBefore, written)}`,
    '',
  ].join('\n')
}

function sharedText({ routes, shares, unanswered }: SharedChange): string {
  const parts = shares.flatMap(({ service, version, after }) =>
    after > 0 ? [`${serviceText({ service, version: version ?? '' })} ${percent(after)}`] : [],
  )
  if (unanswered.after > 0) parts.push(`nobody (503) ${percent(unanswered.after)}`)
  return `of requests to ${routesText(routes)}, which it shares: ${parts.join(', ')}`
}

/** The command that brings back what was. A proxy of an earlier release does not say `undo`. */
function undoText(service: string, weights: PolicyChange['weightsBefore'], written: PolicyChange['written']): string {
  const undo = written?.undo ?? (weights === null ? (written?.revision ?? 1) - 1 : undefined)
  if (undo !== undefined) return `${commandName()} rollback ${shellWord(service)} ${String(undo)}`
  const parts = Object.entries(weights ?? {}).map(([version, weight]) => shellWord(`${version}=${String(weight)}`))
  return `${commandName()} split ${shellWord(service)} ${parts.join(' ')}`
}

function shellWord(text: string): string {
  return /^[A-Za-z0-9@%+=:,./_-]+$/.test(text) ? text : `'${safe(text).replaceAll("'", String.raw`'\''`)}'`
}
