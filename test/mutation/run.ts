/**
 * Takes every check out of `src/wire` and `src/proxy`, one at a time, and asks the rule suite whether it notices; what it
 * does not notice, the suites of the parts are asked about.
 * `npm run mutate` prints what nobody noticed; `npm run mutate -- chunked host` looks at files with one of those in their
 * name only.
 * Works on a copy of the tree; the tree itself is not touched.
 */
import { execFile, fork, type ChildProcess } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { systemClock } from '../../src/core/clock.ts'
import { seededRandom } from '../../src/core/random.ts'
import { accepted } from './accepted.ts'
import { instrument, type Mutant } from './instrument.ts'
import type { Order, Report } from './worker.ts'

const root = resolve(import.meta.dirname, '../..')
const only = process.argv.slice(2)
const survived = only.find((each) => each.startsWith('@'))
/** What an earlier run printed, to try again only what survived it: `npm run mutate -- @file`. Lines may have moved. */
const earlier = survived === undefined ? undefined : survivorsIn(readFileSync(survived.slice(1), 'utf8'))
const workers = 2
/** More cases than this are not run for one mutant: what so many pass through and none notices, none will. */
const jobsMax = 1_500
/** More suites than this are not run for one mutant. */
const suitesMax = 12
/** A worker that is silent for longer has been sent into a loop by its mutant. */
const silenceMs = 25_000

function survivorsIn(output: string): ReadonlySet<string> {
  return new Set(
    [...output.matchAll(/^survives[^:]*: ([^:]+):[0-9]+ (.*)$/gm)].map(([, file, what]) => `${file} ${what}`),
  )
}

function prepare(): { readonly tree: string; readonly mutants: readonly Mutant[]; readonly files: readonly string[] } {
  const tree = mkdtempSync(join(tmpdir(), 'fairlead-mutants-'))
  for (const name of ['src', 'test', 'package.json']) cpSync(join(root, name), join(tree, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'))
  const mutants: Mutant[] = []
  for (const folder of ['src/wire', 'src/proxy'])
    for (const name of readdirSync(join(tree, folder))) {
      const path = join(tree, folder, name)
      const done = instrument(
        `${folder}/${name}`,
        readFileSync(path, 'utf8'),
        mutants.length,
        '../../test/mutation/switch.ts',
      )
      writeFileSync(path, done.text)
      mutants.push(...done.mutants)
    }
  const rules = join(tree, 'test/rules')
  const files: string[] = []
  for (const name of readdirSync(rules)) {
    const path = join(rules, name)
    const text = readFileSync(path, 'utf8')
    if (!text.includes('await runCases(t,')) continue
    writeFileSync(path, text.replace("import t from 'tap'", "import t from '../mutation/no-tap.ts'"))
    files.push(path)
  }
  return { tree, mutants, files }
}

const { tree, mutants, files } = prepare()
process.on('exit', () => rmSync(tree, { recursive: true, force: true }))
process.on('SIGINT', () => process.exit(130))

function start(): ChildProcess {
  return fork(join(tree, 'test/mutation/worker.ts'), files, {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    // Some mutants hoard; they are to fail, not to take the machine with them.
    execArgv: ['--max-old-space-size=1024'],
  })
}

const send = (child: ChildProcess, order: Order): boolean => child.send(order)

/** Which cases make a difference to which mutant. */
function coverage(): Promise<Map<number, number[]>> {
  return new Promise((done, failed) => {
    const byMutant = new Map<number, number[]>()
    const child = start()
    child.on('message', (message: Report) => {
      if (message.kind === 'ready') send(child, { kind: 'cover' })
      else if (message.kind === 'covered') {
        if (message.error !== '') console.error(`fails without any mutant: ${message.error}`)
        else for (const id of message.reached) byMutant.set(id, [...(byMutant.get(id) ?? []), message.job])
      } else if (message.kind === 'cover-done') {
        child.kill('SIGKILL')
        done(byMutant)
      }
    })
    child.on('exit', (code) => {
      if (code) failed(new Error(`the coverage run ended with ${code}`))
    })
  })
}

function shuffled(all: readonly number[]): number[] {
  const random = seededRandom(all.length)
  return all
    .map((each) => ({ each, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ each }) => each)
}

/** Who noticed each mutant; '' when nobody did. */
async function tryAll(queue: number[], covering: Map<number, number[]>): Promise<Map<number, string>> {
  const verdicts = new Map<number, string>()
  const serve = (): Promise<void> =>
    new Promise((done) => {
      let current = -1
      let child = start()
      let alarm = systemClock.setTimer(silenceMs, () => undefined)
      const next = (): void => {
        const mutant = queue.shift()
        if (mutant === undefined) {
          alarm.clear()
          // Its end is no crash: nobody is to take its place.
          child.removeAllListeners()
          child.kill('SIGKILL')
          done()
          return
        }
        current = mutant
        watch()
        send(child, { kind: 'try', mutant, jobs: shuffled(covering.get(mutant) ?? []).slice(0, jobsMax) })
      }
      const watch = (): void => {
        alarm.clear()
        alarm = systemClock.setTimer(silenceMs, () => replace('never ends'))
      }
      const replace = (why: string): void => {
        child.removeAllListeners()
        child.kill('SIGKILL')
        verdicts.set(current, why)
        child = start()
        listen()
      }
      const listen = (): void => {
        child.on('message', (message: Report) => {
          if (message.kind === 'tried') verdicts.set(message.mutant, message.killedBy)
          if (message.kind === 'tried' || message.kind === 'ready') next()
        })
        child.on('exit', () => replace('crash of the process'))
      }
      listen()
    })
  await Promise.all(Array.from({ length: workers }, serve))
  return verdicts
}

/** What a route's rules, changes and shares do is tested with the whole application. */
const steering = ['rules', 'shaping', 'shared-places']

/** Suites that run in processes of their own: what measures memory, what drives parts alone, what once was wrong. */
function suiteFiles(): readonly string[] {
  const found = ['test/rules/m10-back-pressure.test.ts', ...steering.map((name) => `test/app/${name}.test.ts`)]
  for (const folder of ['test/wire', 'test/proxy', 'test/regress'])
    for (const file of readdirSync(join(tree, folder))) if (file.endsWith('.test.ts')) found.push(`${folder}/${file}`)
  return found
}

/** Runs one of those; resolves with whether all was well. */
function suite(file: string, env: Readonly<Record<string, string>>): Promise<boolean> {
  return new Promise((done) => {
    const options = {
      cwd: tree,
      env: { ...process.env, TAP_TIMEOUT: '20', ...env },
      timeout: 30_000,
      killSignal: 'SIGKILL' as const,
      maxBuffer: 64 * 1_048_576,
    }
    execFile(process.execPath, ['--max-old-space-size=1024', join(tree, file)], options, (error) => done(!error))
  })
}

/** Runs `serve` on every one of `all`, as many at a time as there are workers. */
async function each<T>(all: readonly T[], serve: (one: T) => Promise<void>): Promise<void> {
  const waiting = all.values()
  const worker = async (): Promise<void> => {
    for (const one of waiting) await serve(one)
  }
  await Promise.all(Array.from({ length: workers }, worker))
}

/** The suites to ask of a file's mutants: its own first, then those of its folder; not all, for a survivor runs them all. */
function nearest(mutated: string, suites: readonly string[]): readonly string[] {
  const own = basename(mutated, '.ts')
  const folder = mutated.split('/')[1] ?? ''
  const rank = (file: string): number =>
    basename(file) === `${own}.test.ts` ? 0 : file.startsWith('test/rules') ? 2 : file.includes(`/${folder}/`) ? 1 : 3
  return suites.toSorted((a, b) => rank(a) - rank(b)).slice(0, suitesMax)
}

/** Those of the mutants that no suite notices; only suites in which they make a difference are asked. */
async function unnoticed(ids: readonly number[]): Promise<Set<number>> {
  const asked = new Map<number, string[]>(ids.map((id) => [id, []]))
  await each(suiteFiles(), async (file) => {
    const path = join(tree, `reached-${file.replaceAll('/', '-')}.json`)
    if (!(await suite(file, { MUTANTS_REACHED: path }))) console.error(`fails without any mutant: ${file}`)
    // No file: it does without our parts.
    else if (existsSync(path))
      for (const id of JSON.parse(readFileSync(path, 'utf8')) as number[]) asked.get(id)?.push(file)
  })
  const left = new Set(ids)
  await each(ids, async (id) => {
    for (const file of nearest(mutants[id]?.file ?? '', asked.get(id) ?? []))
      if (!(await suite(file, { MUTANT: String(id), TAP_BAIL: '1' }))) {
        left.delete(id)
        return
      }
  })
  for (const id of left) if ((asked.get(id) ?? []).length > 0) reachedBySuite.add(id)
  return left
}

const reachedBySuite = new Set<number>()
const name = (mutant: Mutant): string => `${mutant.file}:${mutant.line} ${mutant.what}`
const begun = systemClock.now()
const chosen = mutants.filter((mutant) =>
  earlier
    ? earlier.has(`${mutant.file} ${mutant.what}`)
    : only.length === 0 || only.some((each) => mutant.file.includes(each)),
)
console.log(`${chosen.length} checks to take out`)
const covering = await coverage()
const reached = chosen.filter((mutant) => covering.has(mutant.id))
console.log(`${reached.length} are reached by some case (${Math.round((systemClock.now() - begun) / 1_000)} s)`)
const verdicts = await tryAll(
  reached.map((mutant) => mutant.id),
  covering,
)
const passed = chosen.filter((mutant) => !verdicts.get(mutant.id))
console.log(`${passed.length} pass every case (${Math.round((systemClock.now() - begun) / 1_000)} s)`)
const left = await unnoticed(passed.map((mutant) => mutant.id))
const survivors = passed.filter((mutant) => left.has(mutant.id))
const excused = survivors.filter((mutant) => accepted.some((each) => each.check === `${mutant.file} ${mutant.what}`))
const open = survivors.filter((mutant) => !excused.includes(mutant))
for (const mutant of open)
  console.log(
    `survives${covering.has(mutant.id) || reachedBySuite.has(mutant.id) ? '' : ' (not reached)'}: ${name(mutant)}`,
  )
const known = new Set(mutants.map((mutant) => `${mutant.file} ${mutant.what}`))
for (const each of accepted) if (!known.has(each.check)) console.log(`no longer there: ${each.check}`)
const killed = chosen.length - survivors.length
console.log(`${killed} of ${chosen.length} noticed, ${excused.length} accepted with a reason, ${open.length} survive`)
console.log(`${Math.round((systemClock.now() - begun) / 1_000)} s`)
process.exitCode = open.length > 0 ? 1 : 0
