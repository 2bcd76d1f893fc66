/** The benches of policy: their tables, their goals, and a whole short run of each. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { flipGoal, renderFlips, renderRounds, type Round, roundGoals } from '../../bench/policy/report.ts'
import { findConsul } from '../fixtures/install.ts'

const run = promisify(execFile)
const scriptOf = (name: string): string => fileURLToPath(new URL(`../../bench/policy/${name}.ts`, import.meta.url))

/** Runs one in a folder of its own for temporary files, which must be empty when it is over. */
async function runIn(t: Test, name: string, args: readonly string[]): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'fairlead-test-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const { stdout } = await run(process.execPath, [scriptOf(name), ...args], { env: { ...process.env, TMPDIR: dir } })
  t.notMatch((await run('ls', ['-A', dir])).stdout, /fairlead-bench/, 'its files are removed')
  return stdout
}

t.test('flips: a row per proxy, and one for the slower of them at each', async (t) => {
  const flips = [
    [1, 20],
    [30, 2],
    [3, 120],
  ]
  const text = renderFlips(flips)
  t.match(text, '### 3 splits written to the KV')
  t.match(text, /\| proxy 1 +\| +3\.0 \| +30\.0 \| +30\.0 \|/)
  t.match(text, /\| proxy 2 +\| +20\.0 \| +120\.0 \| +120\.0 \|/)
  t.match(text, /\| the slower of them +\| +30\.0 \| +120\.0 \| +120\.0 \|/)
  t.match(flipGoal(flips), { text: /median: 30\.0 ms \(goal: 100 ms\)/, met: true })
  t.equal(flipGoal(flips.map(([ms = 0]) => [ms, 101])).met, false, 'the slower one counts')
  t.equal(flipGoal([]).met, undefined)
})

const window = (ms: number, counts: Partial<Round['quiet']> = {}): Round['quiet'] => ({
  msOfOthers: Array.from({ length: 100 }, (_, i) => (i < 98 ? ms : ms * 10)),
  failed: 0,
  strayed: 0,
  ...counts,
})

t.test('ten services: a replacement beside one behind another proxy and beside quiet, round by round', async (t) => {
  const rounds = [1, 2, 3].map((ms) => ({ quiet: window(ms), elsewhere: window(ms * 1.6), replacing: window(ms * 2) }))
  const text = renderRounds(rounds)
  t.match(text, '### Three versions of one of them replaced, 3 times')
  t.match(text, /\| in quiet +\| +300 \| +2\.00 \| +20\.00 \| +30\.00 \| +0 \| +0 \|/)
  t.match(text, /\| during the replacement +\| +300 \| +4\.00 \| +40\.00 \| +60\.00 \| +0 \| +0 \|/)
  t.match(text, /\| ÷ behind another, median of the rounds +\| +\| +1\.25 \| +1\.25 \|/)
  t.match(text, /\| ÷ in quiet, median of the rounds +\| +\| +2\.00 \| +2\.00 \|/)
  const met = (rounds: readonly Round[]): unknown => roundGoals(rounds).map((goal) => goal.met)
  t.same(met(rounds), [true, true, true, true])
  t.same(met([{ quiet: window(1, { failed: 1 }), elsewhere: window(1), replacing: window(1.3) }]), [
    false,
    true,
    false,
    false,
  ])
  t.same(met([{ quiet: window(0.1), elsewhere: window(1), replacing: window(1, { strayed: 1 }) }]), [
    true,
    false,
    true,
    true,
  ])
})

t.test('the delay of the KV, short', { timeout: 60_000 }, async (t) => {
  const { path, reason } = await findConsul()
  if (path === undefined) return void t.pass('needs a real Consul', { skip: reason })
  const json = join(t.testdir(), 'figures.json')
  const stdout = await runIn(t, 'kv-delay', ['--flips', '3', '--gap', '20', '--json', json])
  t.match(stdout, /### 3 splits written to the KV[^]*\| proxy 2 +\| +-?\d+\.\d \|[^]*\(goal: 100 ms\): (?:met|MISSED)/)
  const { flips } = JSON.parse(readFileSync(json, 'utf8')) as { readonly flips: readonly (readonly number[])[] }
  t.same(
    flips.map((times) => times.length),
    [2, 2, 2],
  )
})

t.test('ten services, short', { timeout: 60_000 }, async (t) => {
  const stdout = await runIn(t, 'ten-services', ['--rounds', '1', '--quiet', '300', '--pause', '20'])
  t.match(stdout, /\| in quiet +\| +[1-9]\d* \|/)
  t.match(stdout, /\| during one behind another proxy +\| +[1-9]\d* \|/)
  t.match(stdout, /\| during the replacement +\| +[1-9]\d* \|/)
  t.match(stdout, '- Failed requests, of all ten: 0 (goal: 0): met')
  t.match(stdout, '- Requests to the nine that another version answered: 0 (goal: 0): met')
})

t.test('mistakes exit 2', async (t) => {
  for (const [name, args] of [
    ['kv-delay', ['--flips', '0']],
    ['ten-services', ['--rounds', 'x']],
  ] as const)
    await t.rejects(run(process.execPath, [scriptOf(name), ...args]), { code: 2, stderr: /Expected a whole number/ })
})
