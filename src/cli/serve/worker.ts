/** A worker process: see `fleet/worker.ts` for what it does. It loads no more than it needs, since there are many of them. */
import { systemClock } from '../../core/clock.ts'
import { systemRandom } from '../../core/random.ts'
import { Worker } from '../../fleet/worker.ts'
import { packageVersion } from '../version.ts'
import { epochOf, takeOrders, type ChildOptions } from './child.ts'
import { createCopier } from '../../handover/copier.ts'
import { createTaker } from '../../handover/taker.ts'
import { openGiver } from './hand-over.ts'
import { holdProcess, openOutput, type Output } from './output.ts'

export function runWorker({ socket, slot, lameDuckMs, deadlineMs, stateDir }: ChildOptions): void {
  const output = ofWorker(openOutput('info', true), slot)
  const end = holdProcess(output)
  const taker = createTaker({
    clock: systemClock,
    // Whoever comes in its place has another socket, and so may this one.
    onEnd: () => output.log.warn({}, 'the worker that ran before has ended: this one goes on with sockets of its own'),
  })
  const giver = openGiver({ stateDir, slot, log: output.log })
  const worker = new Worker({
    slot,
    epoch: epochOf(),
    path: socket,
    version: packageVersion,
    clock: systemClock,
    random: systemRandom,
    log: output.log,
    accessLog: output.accessLog,
    shutdown: { lameDuckMs, deadlineMs },
    process: () => {
      const { user, system } = process.cpuUsage()
      return { pid: process.pid, cpuMs: (user + system) / 1_000, residentBytes: process.memoryUsage.rss() }
    },
    inherit: taker?.take.bind(taker),
    copySocket: createCopier({ clock: systemClock, log: output.log }),
    onListening: () => taker?.close(),
    onDraining: () => giver?.close(),
    onDrained: () => void end(0),
  })
  // What it is configured with comes from control, and control is told when that is to be read again.
  takeOrders({ stop: () => worker.stop(), reload: () => {} })
  worker.start()
}

function ofWorker(output: Output, worker: number): Output {
  const { log } = output
  return {
    ...output,
    log: {
      debug: (fields, message) => log.debug({ worker, ...fields }, message),
      info: (fields, message) => log.info({ worker, ...fields }, message),
      warn: (fields, message) => log.warn({ worker, ...fields }, message),
      error: (fields, message) => log.error({ worker, ...fields }, message),
      setLevel: (level) => log.setLevel(level),
    },
  }
}
