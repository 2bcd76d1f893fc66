/**
 * `npm run bench:faults`: what a killed and what a frozen backend cost clients, with Fairlead and with other proxies, each
 * beside a run in which nothing is killed. A Markdown table on stdout. See ../README.md.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sayProgress } from '../lib/lab.ts'
import { describeMachine, describeRevision } from '../lib/machine.ts'
import { type Contestant, contestant } from './contestants.ts'
import { measureContestant, type Result } from './measure.ts'
import { type FaultBenchOptions, parseFaultBenchOptions, type RunName } from './options.ts'
import { type Goal, goalsOf, renderRun } from './report.ts'
import { runProgram } from '../lib/program.ts'

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** Those that are installed; says of the others how to install them. */
async function takingPart(options: FaultBenchOptions): Promise<readonly Contestant[]> {
  const all = await Promise.all(options.contestants.map(contestant))
  return all.filter(({ name, version, install }) => {
    if (version === undefined) process.stderr.write(`${name} is not installed: ${install}\n`)
    return version !== undefined
  })
}

async function main(options: FaultBenchOptions, dir: string): Promise<void> {
  const contestants = await takingPart(options)
  print(`## Faults\n\n${describeMachine()}. Fairlead's source: ${describeRevision()}.`)
  print(`Contestants: ${contestants.map(({ name, version }) => `${name} ${version ?? ''}`).join(', ')}.`)
  print('4 backends of 10 ms, 32 keep-alive clients that never retry, one fifth of the requests 1 kB POSTs.\n')
  const runs: { readonly run: RunName; readonly results: readonly Result[] }[] = []
  const goals: Goal[] = []
  for (const run of options.runs) {
    const results: Result[] = []
    for (const one of contestants) {
      sayProgress(`${run}: ${one.name}`)
      results.push(await measureContestant(one, run, options.seconds, join(dir, `${run}-${one.name}`)))
    }
    runs.push({ run, results })
    goals.push(...goalsOf(run, results))
    print(`${renderRun(run, results)}\n`)
  }
  for (const { text, met } of goals) print(`- ${text}: ${met ? 'met' : 'MISSED'}`)
  if (options.json === undefined) return
  const figures = { machine: describeMachine(), revision: describeRevision(), options, runs, goals }
  writeFileSync(options.json, `${JSON.stringify(figures, undefined, 2)}\n`)
}

const dir = mkdtempSync(join(tmpdir(), 'fairlead-bench-'))
const remove = (): void => rmSync(dir, { recursive: true, force: true })
process.on('exit', remove)
chmodSync(dir, 0o755)
await runProgram(() => main(parseFaultBenchOptions(process.argv.slice(2)), dir))
