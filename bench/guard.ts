/**
 * `npm run bench:guard REV`: the working tree beside a commit, CPU per request, in one interleaved run whose rounds
 * alternate in order. Says faster, slower or cannot tell, per case, by the rule of `verdictOf`; exits 1 for a slower one.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkContestant } from './lib/check.ts'
import { fairleadFrom, projectRoot } from './lib/contestants.ts'
import { withLab } from './lib/lab.ts'
import { describeMachine, describeRevision } from './lib/machine.ts'
import { measureCase } from './lib/measure.ts'
import type { CaseResult, Lab } from './lib/measure.ts'
import { parseGuardOptions } from './lib/options.ts'
import type { GuardOptions } from './lib/options.ts'
import { exchanges } from './lib/payload.ts'
import { doubts, markdownTable } from './lib/report.ts'
import { median, medianInterval, noiseBand, pairedRatios, verdictOf } from './lib/statistics.ts'
import type { Verdict } from './lib/statistics.ts'
import { addWorktree } from './lib/worktree.ts'
import type { Worktree } from './lib/worktree.ts'
import { runProgram } from './lib/program.ts'

/** What is said of one case. */
interface Finding {
  readonly title: string
  /** CPU per request, µs, the medians. */
  readonly before: number
  readonly after: number
  readonly ratios: readonly number[]
  readonly verdict: Verdict
  readonly doubts: readonly string[]
}

function find(result: CaseResult): Finding {
  const [before = [], after = []] = result.results.map((one) => one.samples.map((each) => each.cpuMicrosPerRequest))
  const ratios = pairedRatios(after, before)
  return {
    title: `${result.exchange.title}, ${result.connections} connections`,
    before: median(before),
    after: median(after),
    ratios,
    verdict: verdictOf(ratios),
    doubts: doubts(result),
  }
}

function render(findings: readonly Finding[], worktree: Worktree): string {
  const header = ['CPU µs/request', worktree.revision, 'working tree', 'ratio', '95 % interval', 'verdict']
  const rows = findings.map((finding) => {
    const interval = medianInterval(finding.ratios)
    return [
      finding.title,
      finding.before.toFixed(2),
      finding.after.toFixed(2),
      median(finding.ratios).toFixed(3),
      interval ? `${interval.low.toFixed(3)}–${interval.high.toFixed(3)}` : 'too few rounds',
      finding.verdict,
    ]
  })
  return [
    markdownTable(header, rows),
    ...findings.flatMap((finding) => finding.doubts.map((doubt) => `- ${finding.title}: ${doubt}`)),
  ].join('\n')
}

async function compare(lab: Lab, options: GuardOptions, worktree: Worktree): Promise<readonly Finding[]> {
  const contestants = [
    fairleadFrom(worktree.path, `fairlead at ${worktree.revision}`, worktree.revision),
    fairleadFrom(projectRoot, 'fairlead, working tree', describeRevision()),
  ]
  for (const [index, one] of contestants.entries()) {
    lab.say(`checking ${one.name}`)
    await checkContestant(one, join(lab.dir, `check-${index}`))
  }
  const findings: Finding[] = []
  for (const name of options.questions)
    for (const connections of options.connections)
      findings.push(find(await measureCase(lab, contestants, exchanges[name], connections)))
  return findings
}

async function main(): Promise<void> {
  const options = parseGuardOptions(process.argv.slice(2))
  const worktree = addWorktree(projectRoot, options.revision)
  try {
    const findings = await withLab(options, true, (lab) => compare(lab, options, worktree))
    const rule =
      `${options.rounds} rounds of ${options.seconds} s, alternating. Ratio: median of the paired ratios, working tree to ` +
      `${worktree.revision}; the interval holds the true median with 95 % (sign test). Slower or faster: the whole ` +
      `interval on one side of 1, and the median more than ${noiseBand * 100} % from it.`
    process.stdout.write(`${describeMachine()}\n\n${render(findings, worktree)}\n\n${rule}\n`)
    if (options.json !== undefined) {
      const figures = { machine: describeMachine(), before: worktree.revision, after: describeRevision(), findings }
      writeFileSync(options.json, `${JSON.stringify(figures, undefined, 2)}\n`)
    }
    if (findings.some((finding) => finding.verdict === 'slower')) process.exitCode = 1
  } finally {
    worktree.remove()
  }
}

await runProgram(main)
