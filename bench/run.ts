/**
 * `npm run bench`: Fairlead beside a bare TCP relay, http-proxy, nginx and HAProxy, as a Markdown table on stdout.
 * See README.md beside it for what is asked and where noise comes from.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CommanderError } from 'commander'
import { checkContestant } from './lib/check.ts'
import { contestant } from './lib/contestants.ts'
import type { Contestant } from './lib/contestants.ts'
import { withLab } from './lib/lab.ts'
import { describeMachine, describeRevision } from './lib/machine.ts'
import { measureCase } from './lib/measure.ts'
import type { CaseResult, Lab } from './lib/measure.ts'
import { parseBenchOptions } from './lib/options.ts'
import type { BenchOptions } from './lib/options.ts'
import { questions } from './lib/payload.ts'
import { goals, renderCase } from './lib/report.ts'

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** Those that are installed; says of the others how to install them. */
function takingPart(options: BenchOptions): readonly Contestant[] {
  return options.contestants.map(contestant).filter((one) => {
    if (one.version === undefined) process.stderr.write(`${one.name} is not installed: ${one.install}\n`)
    return one.version !== undefined
  })
}

function printHead(lab: Lab, options: BenchOptions, contestants: readonly Contestant[], pinned: string): void {
  print(`## Bench\n`)
  const wrk = options.load === 'auto' && lab.load.name === 'node' ? ' (for wrk: apt-get install wrk)' : ''
  print(`${describeMachine()}; ${pinned}. Load: ${lab.load.name}${wrk}. Backend: ${lab.backend.name}.`)
  print(`Contestants: ${contestants.map((one) => `${one.name} ${one.version ?? ''}`).join(', ')}.`)
  print(`Fairlead's source: ${describeRevision()}.`)
  print(
    `${options.rounds} interleaved rounds of ${options.seconds} s; medians (least–most); ratios are of CPU per request,`,
  )
  print(`paired by round. Throughput in [ ] is not comparable: the proxy's core was not the bottleneck.\n`)
}

async function runAll(lab: Lab, options: BenchOptions, pinned: string): Promise<readonly CaseResult[]> {
  const contestants = takingPart(options)
  for (const [index, one] of contestants.entries()) {
    lab.say(`checking ${one.name}`)
    await checkContestant(one, join(lab.dir, `check-${index}`))
  }
  printHead(lab, options, contestants, pinned)
  const cases: CaseResult[] = []
  for (const name of options.questions)
    for (const connections of options.connections) {
      const result = await measureCase(lab, contestants, questions[name], connections)
      cases.push(result)
      print(`${renderCase(result, ['haproxy', 'relay'])}\n`)
    }
  return cases
}

async function main(): Promise<void> {
  const options = parseBenchOptions(process.argv.slice(2))
  const cases = await withLab(options, false, (lab, cores) =>
    runAll(
      lab,
      options,
      cores.proxy === undefined ? 'not pinned' : `proxy on core ${cores.proxy}, rest on ${cores.rest}`,
    ),
  )
  const reached = goals(cases)
  for (const goal of reached) print(`- ${goal.text}${goal.met === undefined ? '' : goal.met ? ': met' : ': MISSED'}`)
  if (options.json === undefined) return
  const figures = { machine: describeMachine(), revision: describeRevision(), options, cases, goals: reached }
  writeFileSync(options.json, `${JSON.stringify(figures, undefined, 2)}\n`)
}

try {
  await main()
} catch (error) {
  // commander has said what was wrong with the arguments
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2)
  throw error
}
