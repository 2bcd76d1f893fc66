import t from 'tap'
import { load } from '../../src/config/load.ts'
import { workerCount, workersMax } from '../../src/config/workers.ts'

const on = (text: string, platform = 'linux') => load(text, {}, 'f', undefined, platform)

t.test('one process unless it is said otherwise; a number, or auto', async (t) => {
  t.equal(on('').config?.workers, 1)
  t.equal(on('workers: 4').config?.workers, 4)
  t.equal(on('workers: auto').config?.workers, 'auto')
  for (const wrong of ['0', '-1', '1.5', '257', 'all', '"2 "'])
    t.match(
      on(`workers: ${wrong}`).errors,
      [{ path: 'workers', message: /a number of processes, 1 to 256, or auto/ }],
      wrong,
    )
})

t.test('several processes are refused where they cannot share a port, with what to do', async (t) => {
  for (const platform of ['darwin', 'win32', 'openbsd']) {
    t.match(on('zone: x\nworkers: 2', platform).errors, [
      { path: 'workers', line: 2, message: new RegExp(`on this system \\(${platform}\\): leave it out, or write 1`) },
    ])
    for (const fine of ['workers: 1', 'workers: auto', '']) t.equal(on(fine, platform).errors, undefined)
  }
  for (const platform of ['linux', 'freebsd']) t.equal(on('workers: 2', platform).errors, undefined)
})

t.test('auto is one for each core, where that is possible', async (t) => {
  t.equal(workerCount('auto', 'linux', 8), 8)
  t.equal(workerCount('auto', 'linux', 0), 1)
  t.equal(workerCount('auto', 'linux', 1_000), workersMax)
  t.equal(workerCount('auto', 'darwin', 8), 1)
  t.equal(workerCount(3, 'linux', 1), 3)
})
