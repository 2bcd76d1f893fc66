import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import {
  coreTicks,
  cpuMicros,
  memoryBytes,
  openFilesLimit,
  parseCoreTicks,
  parseOpenFilesLimit,
  parseProcessStat,
  parsePssBytes,
  parseSchedstat,
  parseStatusBytes,
  processTree,
  pssBytes,
} from '../../bench/lib/procfs.ts'
import { until } from '../fixtures/until.ts'

t.test('a process stat line, whatever the command is called', (t) => {
  const rest = 'S 7188 7188 4190 0 -1 4194304 101 0 0 0 123 45 6 7 20 0 11 0 119450 3133440 372'
  t.same(parseProcessStat(`7191 (node) ${rest}`), {
    pid: 7191,
    command: 'node',
    parentPid: 7188,
    userTicks: 123,
    systemTicks: 45,
  })
  t.match(parseProcessStat(`7191 (a) S 1 (b) ${rest}\n`), { command: 'a) S 1 (b', parentPid: 7188, userTicks: 123 })
  t.throws(() => parseProcessStat(''), /not a process stat line/)
  t.throws(() => parseProcessStat('7191 (node) S 1 2'), /not a process stat line/)
  t.end()
})

t.test('schedstat is used only where the kernel fills it in', (t) => {
  t.equal(parseSchedstat('873050 12 2\n'), 873050)
  t.equal(parseSchedstat('0 0 0\n'), undefined)
  t.equal(parseSchedstat(''), undefined)
  t.end()
})

t.test('one core of /proc/stat: idle and iowait are not busy, guest is not counted twice', (t) => {
  const text = 'cpu  1 1 1 1 1 1 1 1 1 1\ncpu1 9 9 9 9 9 9 9 9 9 9\ncpu10 100 1 20 800 60 2 3 4 50 6\nintr 1\n'
  t.same(parseCoreTicks(text, 10), { busy: 130, total: 990 })
  t.equal(parseCoreTicks(text, 0), undefined)
  t.equal(parseCoreTicks('cpu10 100 1 20 800 60 2 3 4 50 6\n', 1), undefined, 'core 10 is not core 1')
  t.end()
})

t.test('memory lines are kB', (t) => {
  const text = 'Name:\tnode\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t11\n'
  t.equal(parseStatusBytes(text, 'VmRSS'), 1_048_576)
  t.equal(parseStatusBytes(text, 'VmHWM'), 2_097_152)
  t.equal(parseStatusBytes('Name:\tkthreadd\n', 'VmRSS'), undefined)
  t.end()
})

t.test('of a real process tree: its CPU time grows, its children count', async (t) => {
  const child = spawn('sh', ['-c', 'while :; do :; done & echo; wait'], { stdio: ['ignore', 'pipe', 'ignore'] })
  const pid = child.pid ?? 0
  try {
    await once(child.stdout, 'data')
    await until(() => processTree(pid).length === 2, { what: 'the child of the shell' })
    const before = cpuMicros(pid)
    await until(() => cpuMicros(pid) > before + 20_000, { what: 'the busy child to use CPU' })
    t.ok(memoryBytes(pid).resident > 0)
    t.ok(memoryBytes(pid).peak >= memoryBytes(pid).resident)
  } finally {
    for (const one of processTree(pid)) process.kill(one, 'SIGKILL')
  }
  await until(() => cpuMicros(pid) === 0, { what: 'the figures of a process that is gone' })
  t.ok((coreTicks(0)?.total ?? 0) > 0)
})

t.test('proportional memory, and the limit of open files', (t) => {
  t.equal(
    parsePssBytes('Rss:              2404 kB\nPss:              1203 kB\nPss_Dirty:         100 kB\n'),
    1_203 * 1_024,
  )
  t.equal(parsePssBytes('Rss: 2404 kB\n'), undefined)
  const pss = pssBytes(process.pid)
  t.ok(pss !== undefined && pss > 1_048_576 && pss <= memoryBytes(process.pid).peak, String(pss))
  const line = (soft: string): string =>
    `Max processes    96 96 processes\nMax open files            ${soft}                20000                files\n`
  t.equal(parseOpenFilesLimit(line('1024')), 1_024)
  t.equal(parseOpenFilesLimit(line('unlimited')), Number.POSITIVE_INFINITY)
  t.ok(openFilesLimit() >= 256)
  t.end()
})
