/** `sidecar`: what Fairlead costs beside a service that is hardly asked. Only Fairlead is judged, so nobody else is started. */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { checkExchange } from '../lib/check.ts'
import { buildPackage, startSidecar } from '../lib/contestants.ts'
import type { Lab } from '../lib/measure.ts'
import { exchanges } from '../lib/payload.ts'
import { cpuMicros, memoryBytes, pssBytes } from '../lib/procfs.ts'
import type { Question } from '../lib/question.ts'
import { section, spread } from '../lib/report.ts'
import { spreadOf } from '../lib/statistics.ts'

/** One start. */
export interface SidecarSample {
  /** From before the process was made to `/readyz` saying yes. */
  readonly readyAfterMs: number
  /** At the end of the quiet time; PSS undefined where the kernel does not tell. */
  readonly residentBytes: number
  readonly pssBytes: number | undefined
  /** CPU time in the quiet time, all threads. */
  readonly quietCpuMs: number
}

async function measureStart(lab: Lab, quietSeconds: number, dir: string): Promise<SidecarSample> {
  const running = await startSidecar({ backendPort: lab.backend.port, core: lab.proxyCore, dir })
  try {
    await checkExchange(running.port, exchanges.small)
    // what follows a start is not yet quiet
    await delay(Math.min(2, quietSeconds) * 1_000)
    const before = cpuMicros(running.pid)
    await delay(quietSeconds * 1_000)
    const quietCpuMs = (cpuMicros(running.pid) - before) / 1_000
    const { resident } = memoryBytes(running.pid)
    const { readyAfterMs } = running
    return { readyAfterMs, residentBytes: resident, pssBytes: pssBytes(running.pid), quietCpuMs }
  } finally {
    await running.stop()
  }
}

/** The table: one row, since nobody is beside it. */
export function renderSidecar(samples: readonly SidecarSample[], quietSeconds: number): string {
  const mebibytes = (pick: (sample: SidecarSample) => number | undefined): string =>
    spread(spreadOf(samples.map((sample) => (pick(sample) ?? Number.NaN) / 1_048_576)), 1)
  const header = ['', 'ready after ms', 'RSS MiB', 'PSS MiB', `CPU ms in ${quietSeconds} quiet s`]
  const row = [
    'fairlead',
    spread(spreadOf(samples.map(({ readyAfterMs }) => readyAfterMs)), 0),
    mebibytes(({ residentBytes }) => residentBytes),
    mebibytes(({ pssBytes }) => pssBytes),
    spread(spreadOf(samples.map(({ quietCpuMs }) => quietCpuMs)), 1),
  ]
  return section('A sidecar with ten routes that is asked nothing', header, [row], [])
}

export const sidecar: Question = {
  asks: 'What does Fairlead cost as a sidecar with ten routes that is asked nothing?',
  how:
    'Started as the package and the image have it (npm run build), once per round, on a core of its own: the time to /readyz, memory (RSS, and PSS, ' +
    'which counts pages shared with other processes in part), and the CPU time of 10 s (--quiet) in which nothing is asked.',
  async *ask(lab, _, options) {
    await buildPackage()
    const samples: SidecarSample[] = []
    for (let round = 0; round < lab.rounds; round++) {
      lab.say(`sidecar: round ${round + 1} of ${lab.rounds}`)
      samples.push(await measureStart(lab, options.quietSeconds, join(lab.dir, `sidecar-${round}`)))
    }
    yield {
      markdown: renderSidecar(samples, options.quietSeconds),
      figures: { quietSeconds: options.quietSeconds, samples },
    }
  },
}
