/**
 * Says in the log what a new table changed and which problems came and went, each once and never more lines than a person
 * reads. It changes nothing.
 */
import type { Logger } from '../core/log.ts'
import { counted } from '../core/counted.ts'
import type { Problem } from '../core/problem.ts'
import { describeChange } from '../table/describe-change.ts'
import { diffTables } from '../table/diff.ts'
import type { RouteTable } from '../table/table.ts'

/** Lines for one table's changes, and for one table's problems; what is beyond is counted in one more. */
export const linesMax = 20

/** Problems that are no news before every source has answered: nobody has been heard, so nobody is missed. */
const earlyCodes: ReadonlySet<string> = new Set([
  'no-such-service',
  'no-such-version',
  'named-versions-gone',
  'no-usable-version',
])

export interface ChangeLog {
  /** Call once for each table that was published; `complete` when every source has answered. */
  published(before: RouteTable, after: RouteTable, complete: boolean): void
}

const idOf = ({ code, where, message }: Problem): string => `${code}\n${where}\n${message}`

function summary(table: RouteTable): string {
  let endpoints = 0
  for (const { groups } of table.services.values()) for (const group of groups) endpoints += group.endpoints.length
  const { routes, services } = table
  return [counted(routes.length, 'route'), counted(services.size, 'service'), counted(endpoints, 'endpoint')].join(', ')
}

export function createChangeLog(log: Logger): ChangeLog {
  /** By identity of content: those that were reported and still stand. */
  let reported = new Map<string, Problem>()
  /** Of which list they are, and whether every source had answered. */
  let said: { readonly problems: readonly Problem[]; readonly complete: boolean } | undefined

  const say = (
    level: 'info' | 'warn',
    lines: readonly { readonly fields: object; readonly text: string }[],
    what: string,
    rest = '',
  ): void => {
    for (const { fields, text } of lines.slice(0, linesMax)) log[level](fields, text)
    const more = lines.length - linesMax
    if (more > 0) log[level]({ count: more }, `and ${counted(more, what)}${rest}`)
  }

  const sayChanges = (before: RouteTable, after: RouteTable): void => {
    const changes = diffTables(before, after)
    if (changes.length === 0) return
    const lines = changes.map((change) => ({ fields: { table: after.version }, text: describeChange(change) }))
    say('info', lines, 'more change')
    if (lines.length > linesMax || before.version === 0)
      log.info({ table: after.version }, `table ${after.version} stands: ${summary(after)}`)
  }

  const sayProblems = (problems: readonly Problem[], complete: boolean): void => {
    if (said?.problems === problems && said.complete === complete) return
    said = { problems, complete }
    const standing = new Map<string, Problem>()
    for (const problem of problems) if (complete || !earlyCodes.has(problem.code)) standing.set(idOf(problem), problem)
    const came = [...standing].filter(([id]) => !reported.has(id)).map(([, problem]) => problem)
    const went = [...reported].filter(([id]) => !standing.has(id)).map(([, problem]) => problem)
    reported = standing
    const line = (verb: string) => (problem: Problem) => ({
      fields: { problem: problem.code, where: problem.where },
      text: `${verb}${problem.where}: ${problem.message}`,
    })
    say('warn', came.map(line('')), 'more problem')
    say('info', went.map(line('solved: ')), 'more problem', ' solved')
  }

  return {
    published(before, after, complete) {
      sayChanges(before, after)
      sayProblems(after.problems, complete)
    },
  }
}
