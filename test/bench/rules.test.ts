/** The bench of rules, run with a small table: each of its requests must meet the rule that it is for. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

const run = promisify(execFile)
const script = fileURLToPath(new URL('../../bench/micro/rules.ts', import.meta.url))

t.test('a small run', async (t) => {
  const { stdout } = await run(process.execPath, [script, '--routes', '40', '--rounds', '2'])
  t.match(stdout, '40 routes with 5 rules each; ns per request, of 2 rounds')
  for (const name of ['the first rule matches \\(header\\)', 'the last \\(header glob\\)', 'none: by weight'])
    t.match(stdout, new RegExp(`\\| ${name} +\\| +[1-9]\\d* \\| +[1-9]\\d* \\| +[1-9]\\d* \\|`))
  t.match(stdout, /- Route and rules, the dearest case: \d+ ns \(goal: under 2000 ns\): (?:met|MISSED)/)
})

t.test('mistakes exit 2', async (t) => {
  await t.rejects(run(process.execPath, [script, '--routes', 'many']), { code: 2, stderr: /Expected a whole number/ })
})
