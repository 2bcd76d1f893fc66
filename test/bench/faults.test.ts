/** The fault bench: its options, its table, its goals, and a whole short run with whatever is installed. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import type { Outcome, Result } from '../../bench/faults/measure.ts'
import { parseFaultBenchOptions } from '../../bench/faults/options.ts'
import { goalsOf, renderRun } from '../../bench/faults/report.ts'
import { findConsul } from '../fixtures/install.ts'

const run = promisify(execFile)
const script = fileURLToPath(new URL('../../bench/faults/run.ts', import.meta.url))

const calm: Outcome = {
  figures: {
    requests: 100,
    good: 100,
    failedSafe: 0,
    failedUnsafe: 0,
    outcomes: { good: 100 },
    seenTwice: 0,
    postsSeenTwice: 0,
    seenMost: 1,
    slowestSafeMs: 12,
    slowestMs: 15,
  },
  times: { errorWindowMs: 0, firstSecond: 0.9, nextSecond: 1 },
  perSecond: 1_000,
}

function outcome(figures: Partial<Outcome['figures']>, times: Partial<Outcome['times']> = {}): Outcome {
  return { ...calm, figures: { ...calm.figures, ...figures }, times: { ...calm.times, ...times } }
}

t.test('options', async (t) => {
  t.strictSame(parseFaultBenchOptions([]), {
    runs: ['kill', 'freeze'],
    contestants: ['fairlead', 'haproxy', 'haproxy-tuned', 'nginx'],
    seconds: undefined,
    json: undefined,
  })
  const args = ['--only', 'freeze', '--contestants', 'nginx,fairlead', '--seconds', '2.5', '--json', 'x']
  t.strictSame(parseFaultBenchOptions(args), {
    runs: ['freeze'],
    contestants: ['nginx', 'fairlead'],
    seconds: 2.5,
    json: 'x',
  })
})

t.test('a row per contestant; what failed without a fault is said', async (t) => {
  const bad = outcome({ failedSafe: 3, failedUnsafe: 4, postsSeenTwice: 5, slowestSafeMs: 678.6 }, { nextSecond: NaN })
  const text = renderRun('kill', [
    { name: 'fairlead', without: calm, withFault: calm },
    { name: 'nginx', without: outcome({ failedUnsafe: 1 }), withFault: bad },
  ])
  t.match(text, '### Three kills')
  t.match(text, /\| nginx +\| +100 \| +3 \| +4 \| +5 \| +679 \| +15 \| +12 \| +15 \| +90 % \| +– \| +1000 \|/)
  t.match(text, '- nginx: 1 failed without a fault.')
  t.notMatch(text, /- fairlead/)
})

t.test("goals are Fairlead's alone, and can be missed", async (t) => {
  const of = (withFault: Outcome, name = 'fairlead'): readonly Result[] => [{ name, without: calm, withFault }]
  const missed = (run: 'kill' | 'freeze', withFault: Outcome): readonly string[] =>
    goalsOf(run, of(withFault)).flatMap(({ text, met }) => (met ? [] : text))
  t.strictSame(goalsOf('kill', of(calm, 'nginx')), [])
  for (const name of ['kill', 'freeze'] as const) {
    t.strictSame(missed(name, calm), [])
    t.match(missed(name, outcome({ failedSafe: 1 })), [/failed safe requests: 1/])
    t.match(missed(name, outcome({ postsSeenTwice: 2 })), [/POSTs seen twice: 2/])
  }
  t.match(missed('kill', outcome({ slowestMs: 251 })), [/slowest request: 251/])
  t.match(missed('freeze', outcome({ slowestSafeMs: 1_001 })), [/slowest GET/])
  t.match(missed('freeze', outcome({}, { nextSecond: 0.7 })), [/throughput a second later: 70 %/])
  t.match(missed('freeze', outcome({}, { nextSecond: NaN })), [/throughput/], 'unknown is not reached')
})

t.test('a whole run, short', async (t) => {
  const { path, reason } = await findConsul()
  if (path === undefined) return void t.pass('needs a real Consul', { skip: reason })
  const dir = mkdtempSync(join(tmpdir(), 'fairlead-test-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const json = join(dir, 'figures.json')
  const args = [script, '--only', 'kill', '--seconds', '2', '--contestants', 'fairlead', '--json', json]
  const { stdout } = await run(process.execPath, args, { env: { ...process.env, TMPDIR: dir } })
  t.match(stdout, /### Three kills[^]*\| fairlead +\| +\d+ \|[^]*- kill: failed safe requests: \d+ \(goal: 0\)/)
  const { runs } = JSON.parse(readFileSync(json, 'utf8')) as {
    readonly runs: readonly { results: readonly Result[] }[]
  }
  const [result] = runs[0]?.results ?? []
  t.equal(result?.without.figures.failedSafe, 0, 'nothing fails where nothing is killed')
  t.equal(result?.without.figures.failedUnsafe, 0)
  t.ok((result?.withFault.figures.good ?? 0) > 100)
  rmSync(json)
  t.notMatch((await run('ls', ['-A', dir])).stdout, /fairlead-bench/, 'its files are removed')
})

t.test('mistakes exit 2', async (t) => {
  await t.rejects(run(process.execPath, [script, '--only', 'x']), { code: 2, stderr: /'x' is not one of kill, freeze/ })
})
