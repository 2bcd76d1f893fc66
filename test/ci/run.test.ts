/** CI's script: it runs the README's own line, counts as tap counts, and is not fooled by skips and silence. */
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** A copy of the script beside a README and an `npm` that prints this and exits so. */
function ci(
  t: Pick<Test, 'teardown'>,
  output: string,
  code = 0,
  readme = '```\nnpm ci && npm test\n```\n',
): { code: number | null; out: string } {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-ci-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  cpSync(join(root, '.ci'), join(folder, '.ci'), { recursive: true })
  writeFileSync(join(folder, 'README.md'), `# Title\n\nSay npm test.\n\n${readme}`)
  mkdirSync(join(folder, 'bin'))
  const npm = join(folder, 'bin/npm')
  const quoted = `'${output.replaceAll("'", "'\\''")}'`
  writeFileSync(
    npm,
    `#!/bin/sh\necho "npm $* CI=$CI"\n[ "$1" = test ] || exit 0\nprintf '%s\\n' ${quoted}\nexit ${code}\n`,
  )
  chmodSync(npm, 0o755)
  const env = { ...process.env, PATH: `${join(folder, 'bin')}:${process.env['PATH']}` }
  const { status, stdout, stderr } = spawnSync(join(folder, '.ci/run'), { env, encoding: 'utf8' })
  return { code: status, out: stdout + stderr }
}

const last = (out: string): string | undefined => out.trimEnd().split('\n').at(-1)
const good = 'ok 1 - a\n# { total: 5, pass: 5 }\n# time=1ms'

t.test('all is well: it says so last, and ran what the README says', async (t) => {
  const { code, out } = ci(t, good)
  t.equal(code, 0, out)
  t.equal(last(out), '5 passed, 0 failed, 0 skipped')
  t.match(out, /^\+ npm ci && npm test\nnpm ci CI=true\nnpm test CI=true\n/)
})

t.test('a line with a prompt before it counts too', async (t) => {
  t.match(ci(t, good, 0, '    $ npm ci && npm test\n').out, '+ npm ci && npm test\n')
})

t.test('what is not well', async (t) => {
  const cases: [string, string, number, RegExp, string][] = [
    [
      'a failure',
      'not ok 1 - a\n# { total: 5, pass: 4, fail: 1 }',
      1,
      /failed: not ok 1 - a/,
      '4 passed, 1 failed, 0 skipped',
    ],
    [
      'a failure with exit code 0',
      '# { total: 2, pass: 1, fail: 1 }',
      0,
      /yet the exit code was 0/,
      '1 passed, 1 failed, 0 skipped',
    ],
    [
      'checks that fail before the tests',
      'error: types',
      2,
      /exit code 2[^]*did not run to their end/,
      '0 passed, 0 failed, 0 skipped',
    ],
    ['silence', '', 0, /did not run to their end/, '0 passed, 0 failed, 0 skipped'],
    ['nothing passed', '# { total: 0, pass: 0 }', 0, /not one test passed/, '0 passed, 0 failed, 0 skipped'],
    [
      'a skip',
      'ok 2 - b # SKIP no network\n# { total: 2, pass: 1, skip: 1 }',
      0,
      /CI should run it: ok 2 - b/,
      '1 passed, 0 failed, 1 skipped',
    ],
    [
      'an empty plan',
      '    1..0 # no promtool\n# { total: 2, pass: 2 }',
      0,
      /CI should run it: 1\.\.0 # no promtool/,
      '2 passed, 0 failed, 0 skipped',
    ],
    [
      'things to do',
      'not ok 3 - c # TODO\n# { total: 2, pass: 1, todo: 1 }',
      0,
      /1 tests are marked/,
      '1 passed, 0 failed, 0 skipped',
    ],
    ['a killed run', good, 137, /exit code 137/, '5 passed, 0 failed, 0 skipped'],
  ]
  for (const [name, output, code, expected, end] of cases) {
    const got = ci(t, output, code)
    t.equal(got.code, 1, name)
    t.match(got.out, expected, name)
    t.equal(last(got.out), end, name)
  }
})

t.test('a test that says that it is not for CI may be skipped there', async (t) => {
  const { code, out } = ci(t, 'ok 2 - b # SKIP not on CI: needs a day\n# { total: 2, pass: 1, skip: 1 }')
  t.equal(code, 0, out)
  t.equal(last(out), '1 passed, 0 failed, 1 skipped')
})

t.test('a README without the line is an error', async (t) => {
  const { code, out } = ci(t, good, 0, 'nothing\n')
  t.equal(code, 1)
  t.match(out, 'the README names no line')
})

t.test('the real README has it', async (t) => {
  t.match(readFileSync(join(root, 'README.md'), 'utf8'), /^\s*(\$ )?npm ci .*npm test\s*$/m)
})
