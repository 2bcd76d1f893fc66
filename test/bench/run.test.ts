/** The bench itself, for an instant: nothing but Node, one contestant. That it runs, not what it finds. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

const run = promisify(execFile)
const script = (name: string): string => fileURLToPath(new URL(`../../bench/${name}`, import.meta.url))
const nodeOnly = ['--load', 'node', '--backend', 'node']

t.test('a whole run with the relay alone', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'fairlead-test-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  const json = join(dir, 'figures.json')
  const small = ['--contestants', 'relay', '--connections', '4', '--rounds', '2', '--seconds', '0.5', '--warm-up', '0']
  const args = [script('run.ts'), ...nodeOnly, ...small, '--json', json]
  const { stdout } = await run(process.execPath, args, { env: { ...process.env, TMPDIR: dir } })
  for (const title of ['64-byte answers', '100 kB answers', '4 kB posts'])
    t.match(stdout, `### ${title}, 4 connections`)
  t.match(stdout, /\| relay +\| +[\d.,]+ \([\d.,]+–[\d.,]+\) \| +1\.00 \|/)

  const { cases } = JSON.parse(readFileSync(json, 'utf8')) as {
    readonly cases: readonly {
      readonly results: readonly {
        readonly residentBytes: number
        readonly samples: readonly {
          readonly requests: number
          readonly errors: number
          readonly cpuMicrosPerRequest: number
        }[]
      }[]
    }[]
  }
  const results = cases.flatMap((one) => one.results)
  t.equal(results.length, 3)
  for (const { residentBytes, samples } of results) {
    t.ok(residentBytes > 1_048_576)
    t.equal(samples.length, 2)
    for (const sample of samples) {
      t.ok(sample.requests > 0)
      t.equal(sample.errors, 0)
      t.ok(sample.cpuMicrosPerRequest > 0.1 && sample.cpuMicrosPerRequest < 100_000, String(sample.cpuMicrosPerRequest))
    }
  }
  rmSync(json)
  t.notMatch((await run('ls', ['-A', dir])).stdout, /fairlead-bench/, 'its files are removed')
})

t.test('mistakes exit 2 with a message, --help exits 0', async (t) => {
  await t.rejects(run(process.execPath, [script('run.ts'), '--only', 'x']), { code: 2, stderr: /'x' is not one of/ })
  await t.rejects(run(process.execPath, [script('guard.ts')]), { code: 2, stderr: /missing required argument/ })
  t.match((await run(process.execPath, [script('run.ts'), '--help'])).stdout, /--contestants/)
})
