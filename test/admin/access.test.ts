/** Named tokens: who is let in, what a token must be, what happens when its file changes, and what a guesser gets. */
import { mkdtempSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createAccess, type Access } from '../../src/admin/access.ts'
import type { AdminToken } from '../../src/config/config.ts'
import { silentLogger } from '../../src/core/log.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'

const alice = '0123456789abcdef0123456789abcdef'
const bob = 'fedcba98765432100123456789ABcdef-_xyz'

interface Setup {
  readonly access: Access
  readonly clock: FakeClock
  readonly said: string[]
  readonly write: (name: string, text: string) => void
  readonly token: (name: string, role?: AdminToken['role']) => AdminToken
}

function setup(t: Pick<Test, 'teardown'>): Setup {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-access-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const clock = new FakeClock()
  const said: string[] = []
  const say = (fields: object, message: string): void => void said.push(`${message} ${JSON.stringify(fields)}`)
  return {
    access: createAccess({ clock, log: { ...silentLogger, info: say, warn: say, error: say } }),
    clock,
    said,
    // Renamed into place, as those who rotate secrets do.
    write: (name, text) => {
      writeFileSync(join(folder, `${name}.new`), text)
      renameSync(join(folder, `${name}.new`), join(folder, name))
    },
    token: (name, role = 'operate') => ({ name, file: join(folder, name), role }),
  }
}

t.test('without tokens, whoever comes by loopback operates, and nobody else', async (t) => {
  const { access } = setup(t)
  t.same(await access.check(undefined, '127.0.0.1', true), { name: 'local', role: 'operate' })
  t.match(await access.check(undefined, '10.0.0.1', false), { status: 401 })
  t.match(await access.check(`Bearer ${alice}`, '10.0.0.1', false), { status: 401 })
})

t.test('with tokens, each is who it names, and who shows none is nobody, on loopback too', async (t) => {
  const { access, write, token, said } = setup(t)
  write('alice', `${alice}\n`)
  write('bob', bob)
  access.use(await access.load([token('alice'), token('bob', 'read')]))
  t.same(await access.check(`Bearer ${alice}`, 'a', true), { name: 'alice', role: 'operate' })
  t.same(await access.check(`bearer ${bob}`, 'a', false), { name: 'bob', role: 'read' })
  for (const [index, wrong] of [
    alice,
    `Basic ${alice}`,
    `Bearer ${alice}x`,
    `Bearer ${alice.slice(1)}`,
    `Bearer ${alice} ${bob}`,
    'Bearer ',
    '',
  ].entries())
    t.match(await access.check(wrong, `peer ${index}`, true), { status: 401, reason: /not known/ }, wrong)
  t.match(await access.check(undefined, 'a', true), { status: 401, reason: /A token is needed/ })
  t.equal(said.length, 7, 'who shows none is no guesser')
  t.notOk(said.some((line) => line.includes(alice) || line.includes(alice.slice(1))))
})

t.test('a token that could be guessed, or that cannot be told, is refused at load', async (t) => {
  const { access, write, token } = setup(t)
  for (const [text, problem] of [
    ['', /128 bits/],
    ['secret', /128 bits/],
    ['0123456789abcdef0123456789abcde', /128 bits/],
    ['123456789012345678901234567890123456', /128 bits/],
    ['a1b2c3d4e5f6g7h8i9j0k', /128 bits/],
    ['a'.repeat(64), /128 bits/],
    [`${alice} ${bob}`, /no header can carry/],
    [`${alice}\n${bob}`, /no header can carry/],
    ['ü'.repeat(64), /no header can carry/],
    [alice.repeat(200), /4096 bytes/],
  ] as const) {
    write('alice', text)
    const error = await access.load([token('alice')]).then(
      () => undefined,
      (thrown: unknown) => thrown as Error,
    )
    t.match(error, { code: 'FL_CONFIG', message: problem }, text.slice(0, 40))
    if (text.length > 4) t.notOk(error?.message.includes(text))
  }
  await t.rejects(access.load([token('nobody')]), { code: 'FL_CONFIG', message: /token of nobody .*there is no file/ })
  write('alice', alice)
  write('bob', alice)
  await t.rejects(access.load([token('alice'), token('bob')]), { message: /token of bob .* the token of alice, too/ })
  mkdirSync(token('folder').file)
  await t.rejects(access.load([token('folder')]), { message: /it is no file/ })
  for (const good of [
    alice,
    alice.toUpperCase(),
    'a1b2c3d4e5f6g7h8i9j0kL',
    '123456789012345678901234567890123456789',
  ]) {
    write('alice', good)
    await t.resolves(access.load([token('alice')]), good)
  }
})

t.test('a file that changes is read again; one that is gone or bad lets nobody in', async (t) => {
  const { access, clock, write, token, said } = setup(t)
  write('alice', alice)
  access.use(await access.load([token('alice')]))
  const status = async (value: string): Promise<unknown> => {
    clock.advance(1_000)
    const got = await access.check(`Bearer ${value}`, `peer ${clock.now()}`, true)
    return 'status' in got ? got.status : got.name
  }
  t.equal(await status(alice), 'alice')
  write('alice', bob)
  t.equal(await status(alice), 401)
  t.equal(await status(bob), 'alice')
  write('alice', 'weak')
  t.equal(await status(bob), 401)
  t.equal(await status('weak'), 401)
  rmSync(token('alice').file)
  t.equal(await status(bob), 401)
  write('alice', bob)
  t.equal(await status(bob), 'alice')
  t.equal(said.filter((line) => line.includes('cannot be used')).length, 2)
  t.equal(said.filter((line) => line.includes('can be used again')).length, 1)
  t.notOk(said.some((line) => line.includes(bob) || line.includes('weak')))
})

t.test('who guesses is not listened to for a while, and nobody else is held up', async (t) => {
  const { access, clock, write, token, said } = setup(t)
  write('alice', alice)
  access.use(await access.load([token('alice')]))
  for (let i = 0; i < 10; i++) t.match(await access.check(`Bearer guess${i}`, 'evil', false), { status: 401 })
  t.match(await access.check('Bearer guess', 'evil', false), { status: 429 })
  t.match(await access.check(`Bearer ${alice}`, 'evil', false), { status: 429 }, 'right or not')
  t.equal(said.length, 10, 'and the log is not filled')
  t.match(await access.check(`Bearer ${alice}`, 'good', false), { name: 'alice' })
  clock.advance(10_100)
  t.match(await access.check(`Bearer ${alice}`, 'evil', false), { name: 'alice' })
  for (let i = 0; i < 10; i++) await access.check('Bearer guess', 'evil', false)
  t.match(await access.check(`Bearer ${alice}`, 'evil', false), { status: 429 })
  for (let i = 0; i < 1_100; i++) await access.check('Bearer guess', `many ${i}`, false)
  t.match(await access.check(`Bearer ${alice}`, 'evil', false), { name: 'alice' }, 'what is remembered is bounded')
})
