/** `npm run soak`: an hour of a catalog that never rests, and what Fairlead holds and loses meanwhile. See README.md beside it. */
import { writeFileSync } from 'node:fs'
import { formatDuration } from '../src/core/units.ts'
import { findConsul } from '../test/fixtures/install.ts'
import { sayProgress } from './lib/lab.ts'
import { describeMachine, describeRevision } from './lib/machine.ts'
import { openFilesLimit } from './lib/procfs.ts'
import { judgeSoak, judgeTrends } from './soak/judge.ts'
import { parseSoakOptions, type SoakOptions } from './soak/options.ts'
import { planOf } from './soak/plan.ts'
import { renderChanges, renderJudgements, renderSamples } from './soak/report.ts'
import { runSoak, type SoakResult } from './soak/run.ts'
import { runProgram } from './lib/program.ts'

/** Of the changes asked for, those that must have been made: a busy machine makes fewer. */
const changesShareMin = 0.9

function whyNot(
  { connections, webSockets }: SoakOptions,
  consul: { path?: string | undefined; reason?: string | undefined },
): string | undefined {
  if (consul.path === undefined) return consul.reason
  // A WebSocket has two in the proxy; connections to instances and the rest are far fewer than this.
  const files = connections + 2 * webSockets + 2_000
  const limit = openFilesLimit()
  return files > limit ? `${files} open files are needed, and ${limit} are allowed (ulimit -Hn)` : undefined
}

function failuresText({ failures, unwell }: SoakResult): string {
  const part = (title: string, lines: readonly string[]): string =>
    lines.length === 0 ? '' : `\n${title}:\n\n${lines.map((text) => `- ${text}`).join('\n')}\n`
  const logged = unwell.map((line) => line.replace(/(session=x{8})x+/, '$1…'))
  return (
    part('Failed, the first of them', failures) +
    part('In the log of the proxy, the first that did not end well', logged)
  )
}

async function soak(options: SoakOptions): Promise<boolean> {
  const plan = planOf(options.totalMs)
  const sampleMs = Math.max(1_000, options.totalMs / 1_200)
  const result = await runSoak({
    ...options,
    plan,
    graceMs: 10_000,
    slowMs: 4_000,
    queryChars: 200,
    sampleMs,
    say: sayProgress,
  })
  const changesMin = (changesShareMin * options.changesPerS * options.totalMs) / 1_000
  const judgements = [...judgeSoak(result), ...judgeTrends(result, options.totalMs / 6, changesMin)]
  const { connections, requestsPerS, webSockets, changesPerS, services, instances } = options
  const report = [
    `## Soak: ${formatDuration(options.totalMs)}`,
    '',
    `${describeMachine()}. Fairlead's source: ${describeRevision()}.`,
    `${connections} connections with ${requestsPerS} requests/s, ${webSockets} WebSockets, ${changesPerS} changes/s of ${services} services with ${instances} instances each at the start.`,
    '',
    renderSamples(result, plan),
    '',
    renderChanges(result),
    failuresText(result),
    renderJudgements(judgements),
    '',
  ].join('\n')
  process.stdout.write(report)
  if (options.markdown !== undefined) writeFileSync(options.markdown, report)
  if (options.json !== undefined) {
    const figures = { machine: describeMachine(), revision: describeRevision(), options, plan, judgements, result }
    writeFileSync(options.json, `${JSON.stringify(figures, undefined, 2)}\n`)
  }
  return judgements.every(({ met }) => met)
}

async function main(): Promise<void> {
  const options = parseSoakOptions(process.argv.slice(2))
  const reason = whyNot(options, await findConsul())
  if (reason !== undefined) process.stderr.write(`${reason}\n`)
  if (reason !== undefined || !(await soak(options))) process.exitCode = 1
}

await runProgram(main)
