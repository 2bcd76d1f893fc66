/**
 * Takes every check out of `src/wire` and `src/proxy`, one at a time, and asks the rule suite whether it notices.
 * `npm run mutate` prints which it did not; `npm run mutate -- chunked` looks at files with that in their name only.
 * Works on a copy of the tree; the tree itself is not touched.
 */
import { execFile, fork, type ChildProcess } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { systemClock } from '../../src/core/clock.ts'
import { seededRandom } from '../../src/core/random.ts'
import { accepted } from './accepted.ts'
import { instrument, type Mutant } from './instrument.ts'
import type { Order, Report } from './worker.ts'

const root = resolve(import.meta.dirname, '../..')
const only = process.argv[2] ?? ''
const workers = 2
/** More cases than this are not run for one mutant: what so many pass through and none notices, none will. */
const jobsMax = 1_500
/** A worker that is silent for longer has been sent into a loop by its mutant. */
const silenceMs = 25_000

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
        child.kill()
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
          child.kill()
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

/** Back-pressure is measured in a process of its own; resolves with whether all was well. */
function backPressure(env: Readonly<Record<string, string>>): Promise<boolean> {
  return new Promise((done) => {
    const options = { env: { ...process.env, TAP_TIMEOUT: '20', ...env }, timeout: 30_000 }
    execFile(process.execPath, [join(tree, 'test/rules/m10-back-pressure.test.ts')], options, (error) => done(!error))
  })
}

/** Those of the mutants that the measurement of back-pressure does not notice. */
async function unnoticed(ids: readonly number[]): Promise<Set<number>> {
  const path = join(tree, 'reached.json')
  await backPressure({ MUTANTS_REACHED: path })
  const touched = new Set(JSON.parse(readFileSync(path, 'utf8')) as number[])
  const left = new Set(ids)
  const queue = ids.filter((id) => touched.has(id))
  const serve = async (): Promise<void> => {
    for (let id = queue.shift(); id !== undefined; id = queue.shift())
      if (!(await backPressure({ MUTANT: String(id) }))) left.delete(id)
  }
  await Promise.all(Array.from({ length: workers }, serve))
  return left
}

const name = (mutant: Mutant): string => `${mutant.file}:${mutant.line} ${mutant.what}`
const begun = systemClock.now()
const chosen = mutants.filter((mutant) => mutant.file.includes(only))
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
for (const mutant of open) console.log(`survives${covering.has(mutant.id) ? '' : ' (not reached)'}: ${name(mutant)}`)
const known = new Set(mutants.map((mutant) => `${mutant.file} ${mutant.what}`))
for (const each of accepted) if (!known.has(each.check)) console.log(`no longer there: ${each.check}`)
const killed = chosen.length - survivors.length
console.log(`${killed} of ${chosen.length} noticed, ${excused.length} accepted with a reason, ${open.length} survive`)
console.log(`${Math.round((systemClock.now() - begun) / 1_000)} s`)
process.exitCode = open.length > 0 ? 1 : 0
