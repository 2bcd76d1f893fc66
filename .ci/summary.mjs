// From the output of a test run and its exit code to the verdict: what failed, what was skipped and should not have
// been, and the counts as the last line. Arguments: file with the output, exit code of the run. Runs on any Node.
import { readFileSync } from 'node:fs'

const [, , file, code] = process.argv
const lines = readFileSync(file, 'utf8').split('\n')

// tap's own count of assertions: `# { total: 4, pass: 2, fail: 1, skip: 1 }`. The last one is that of the whole run.
const total = lines.findLast((line) => /^# \{ total: \d+/.test(line)) ?? ''
const count = (name) => Number(new RegExp(`\\b${name}: (\\d+)`).exec(total)?.[1] ?? 0)

// A test that only some machines can run, which this one is not meant to be, says so first in its reason.
const skipped = lines.filter((line) => /^\s*(not )?ok \d+.* # SKIP/i.test(line) || /^\s*1\.\.0 # /.test(line))
const unwanted = skipped.filter((line) => !/# (SKIP )?not on CI\b/i.test(line))
const failed = lines.filter((line) => /^\s*not ok \d+/.test(line) && !/# (TODO|SKIP)/i.test(line))

const problems = []
if (code !== '0') problems.push(`the run ended with exit code ${code}`)
if (!total) problems.push('tap gave no count: the tests did not run to their end')
if (count('fail') > 0 && code === '0') problems.push('tests failed, and yet the exit code was 0')
if (total && count('pass') === 0) problems.push('not one test passed')
if (count('todo') > 0) problems.push(`${count('todo')} tests are marked as things to do`)
for (const line of failed) problems.push(`failed: ${line.trim()}`)
for (const line of unwanted) problems.push(`skipped, and CI should run it: ${line.trim()}`)

if (problems.length > 0) console.log(`\n${problems.join('\n')}`)
console.log(`${count('pass')} passed, ${count('fail')} failed, ${count('skip')} skipped`)
process.exitCode = problems.length > 0 ? 1 : 0
