/** The bench itself, for an instant: nothing but Node, few contestants. That it runs, not what it finds. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import type * as Tap from 'tap'
import type { MemoryResult } from '../../bench/lib/ask-memory.ts'
import { questionNames } from '../../bench/lib/options.ts'
import type { AcceptResult } from '../../bench/questions/accept.ts'
import type { FairnessResult } from '../../bench/questions/fairness.ts'
import type { LatencyResult } from '../../bench/questions/latency.ts'
import type { CaseResult } from '../../bench/lib/measure.ts'
import type { SidecarSample } from '../../bench/questions/sidecar.ts'

const run = promisify(execFile)
const script = (name: string): string => fileURLToPath(new URL(`../../bench/${name}`, import.meta.url))
const nodeOnly = ['--load', 'node', '--backend', 'node']

// Each question starts what it compares, one after the other.
t.setTimeout(240_000)

interface Written {
  readonly date: string
  readonly machine: { readonly kernel: string; readonly cores: number }
  readonly versions: Readonly<Record<string, string>>
  readonly questions: readonly { readonly name: string; readonly asks: string; readonly figures: readonly unknown[] }[]
}

interface Run {
  readonly stdout: string
  readonly markdown: string
  readonly json: Written
  /** The figures of a question's first table. */
  figures(name: string): unknown
}

/** Runs the bench with nothing but Node, with the smallest settings there are; its files must be gone afterwards. */
async function bench(t: Tap.Test, ...more: readonly string[]): Promise<Run> {
  const dir = mkdtempSync(join(tmpdir(), 'fairlead-test-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  const [json, markdown] = [join(dir, 'figures.json'), join(dir, 'figures.md')]
  const small = ['--connections', '4', '--rounds', '3', '--seconds', '0.3', '--warm-up', '0', '--settle', '0.1']
  const args = [script('run.ts'), ...nodeOnly, ...small, ...more, '--json', json, '--markdown', markdown]
  const { stdout } = await run(process.execPath, args, { env: { ...process.env, TMPDIR: dir } })
  t.notMatch((await run('ls', ['-A', dir])).stdout, /fairlead-bench/, 'its files are removed')
  const written = JSON.parse(readFileSync(json, 'utf8')) as Written
  const figures = (name: string): unknown => written.questions.find((one) => one.name === name)?.figures[0]
  return { stdout, markdown: readFileSync(markdown, 'utf8'), json: written, figures }
}

t.test('a whole run of the exchanges with the relay alone', async (t) => {
  const { stdout, markdown, json } = await bench(t, '--only', 'small,large,post', '--contestants', 'relay')
  for (const title of ['64-byte answers', '100 kB answers', '4 kB posts'])
    t.match(stdout, `### ${title}, 4 connections`)
  t.match(stdout, /\| relay +\| +[\d.,]+ \([\d.,]+–[\d.,]+\) \| +1\.00 \|/)
  t.equal(markdown.trim(), stdout.trim(), 'the file holds what was printed')
  t.match(json, { machine: { kernel: /^Linux / }, versions: { relay: process.version } })
  t.ok(Math.abs(Date.parse(json.date) - Date.now()) < 60_000)

  const cases = json.questions.flatMap((one) => one.figures) as readonly {
    readonly results: readonly {
      readonly residentBytes: number
      readonly samples: readonly {
        readonly requests: number
        readonly errors: number
        readonly cpuMicrosPerRequest: number
      }[]
    }[]
  }[]
  const results = cases.flatMap((one) => one.results)
  t.equal(results.length, 3)
  for (const { residentBytes, samples } of results) {
    t.ok(residentBytes > 1_048_576)
    t.equal(samples.length, 3)
    for (const sample of samples) {
      t.ok(sample.requests > 0)
      t.equal(sample.errors, 0)
      t.ok(sample.cpuMicrosPerRequest > 0.1 && sample.cpuMicrosPerRequest < 100_000, String(sample.cpuMicrosPerRequest))
    }
  }
})

t.test('latency: half of the capacity, or the rate that was given', async (t) => {
  const own = await bench(t, '--only', 'latency', '--contestants', 'relay')
  const [result] = own.figures('latency') as readonly LatencyResult[]
  t.equal(result?.rate, Math.floor((result?.capacity ?? 0) / 2))
  t.equal(result?.samples.length, 3)

  const given = await bench(t, '--only', 'latency', '--contestants', 'relay,undici', '--rate', '200')
  const results = given.figures('latency') as readonly LatencyResult[]
  t.same(
    results.map(({ name, rate }) => [name, rate]),
    [
      ['relay', 200],
      ['undici', 200],
    ],
  )
  for (const { samples } of results)
    for (const { direct, through } of samples) {
      t.match(
        [direct, through],
        [
          { requests: 60, errors: 0 },
          { requests: 60, errors: 0 },
        ],
      )
      t.ok(through.p50Ms > 0)
    }
  t.same(results[0]?.samples[0]?.direct, results[1]?.samples[0]?.direct, 'the same without a proxy')
  t.match(given.stdout, /added p50 ÷ relay/)
})

t.test('accept: all who come are served, and those who kept it busy, too', async (t) => {
  const sizes = ['--contestants', 'relay,fairlead', '--newcomers', '40', '--rounds', '1']
  const found = await bench(t, '--only', 'accept', ...sizes)
  const { results } = found.figures('accept') as { readonly results: readonly AcceptResult[] }
  t.equal(results.length, 2)
  for (const { samples } of results) {
    t.match(samples, [{ newcomers: { requests: 40, errors: 0 }, busy: { errors: 0 } }])
    for (const { newcomers, busy } of samples) t.ok(newcomers.maxMs >= newcomers.p50Ms && busy.requests > 0)
  }
})

t.test('fairness: small ones and greedy ones are all served', async (t) => {
  // Without the relay: behind it a client that pipelines without end was reset in one run of four, and why is not known.
  const found = await bench(t, '--only', 'fairness', '--contestants', 'fairlead', '--rounds', '1')
  const { results } = found.figures('fairness') as { readonly results: readonly FairnessResult[] }
  t.equal(results.length, 1)
  for (const { samples } of results)
    for (const { alone, beside } of samples) {
      t.match(alone, { requests: 48, errors: 0 })
      for (const one of Object.values(beside)) {
        t.match(one, { small: { requests: 48, errors: 0 }, greedy: { errors: 0 } })
        t.ok(one.greedy.requests > 0)
      }
    }
  t.equal(found.stdout.match(/### 32 small clients beside/g)?.length, 4)
})

t.test('idle and websockets: every peer that Node has', async (t) => {
  const peers = ['fairlead', 'relay', 'http-proxy', 'fastify', 'undici']
  const sizes = ['--contestants', peers.join(','), '--clients', '40', '--tunnels', '30', '--rounds', '1']
  const found = await bench(t, '--only', 'idle,websockets', ...sizes)
  for (const [name, opened] of [
    ['idle', 40],
    ['websockets', 30],
  ] as const) {
    const { results } = found.figures(name) as { readonly results: readonly MemoryResult[] }
    t.same(
      results.map((result) => result.name),
      peers,
    )
    for (const { samples } of results) t.match(samples, [{ opened, stillOpen: opened }])
    for (const { samples } of results) t.ok((samples[0]?.beforeBytes ?? 0) > 1_048_576)
  }
})

t.test('sidecar', async (t) => {
  const found = await bench(t, '--only', 'sidecar', '--contestants', 'fairlead', '--quiet', '0.2', '--rounds', '1')
  const { samples } = found.figures('sidecar') as {
    readonly samples: Readonly<Record<string, readonly SidecarSample[]>>
  }
  t.equal(samples['file']?.length, 1)
  t.equal(samples['Consul']?.length ?? 1, 1, 'where Consul is to be had')
  for (const { readyAfterMs, residentBytes, pssBytes, quietCpuMs } of Object.values(samples).flat()) {
    t.ok(readyAfterMs > 20, String(readyAfterMs))
    t.ok(pssBytes !== undefined && pssBytes > 1_048_576, String(pssBytes))
    t.ok(residentBytes > 1_048_576, String(residentBytes))
    t.ok(quietCpuMs >= 0, String(quietCpuMs))
  }
})

t.test('workers', async (t) => {
  const found = await bench(t, '--only', 'workers', '--connections', '4')
  const { results } = found.figures('workers') as CaseResult
  t.same(
    results.map(({ name }) => name),
    ['one process', '2 workers'],
  )
  for (const { samples } of results) for (const { errors, requests } of samples) t.ok(errors === 0 && requests > 0)
  t.match(found.stdout, /CPU per small request with two workers, beside one process/)
})

t.test('--list tells what each question asks', async (t) => {
  const { stdout } = await run(process.execPath, [script('run.ts'), '--list'])
  const lines = stdout.trim().split('\n')
  t.equal(lines.length, questionNames.length)
  for (const [index, name] of questionNames.entries()) t.match(lines[index], new RegExp(`^${name} +[A-Z].*\\?$`))
})

t.test('too few open files are said before anything runs', async (t) => {
  const args = [script('run.ts'), '--only', 'idle,websockets', '--clients', '900', '--tunnels', '400']
  const limited = run('sh', ['-c', 'ulimit -n 1000 && exec "$0" "$@"', process.execPath, ...args])
  const stderr = /idle needs 1412 open files in one process, and 1000 are allowed[^]*websockets needs 1312/
  await t.rejects(limited, { code: 2, stdout: '', stderr })
})

t.test('idle leaves the relay out where it alone needs more open files than there are, and says so', async (t) => {
  const args = [script('run.ts'), ...nodeOnly, '--only', 'idle', '--contestants', 'relay', '--clients', '100']
  const { stdout } = await run('sh', ['-c', 'ulimit -n 700 && exec "$0" "$@"', process.execPath, ...args])
  t.match(stdout, /- relay is left out: it needs 712 open files, and 700 are allowed/)
  t.notMatch(stdout, /\| relay/)
})

t.test('mistakes exit 2 with a message, --help exits 0', async (t) => {
  await t.rejects(run(process.execPath, [script('run.ts'), '--only', 'x']), { code: 2, stderr: /'x' is not one of/ })
  await t.rejects(run(process.execPath, [script('guard.ts')]), { code: 2, stderr: /missing required argument/ })
  t.match((await run(process.execPath, [script('run.ts'), '--help'])).stdout, /--contestants/)
})
