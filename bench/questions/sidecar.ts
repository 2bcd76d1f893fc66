/** `sidecar`: what Fairlead costs beside a service that is hardly asked. Only Fairlead is judged, so nobody else is started. */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type ConsulAgent, startConsulAgent } from '../../test/fixtures/consul-agent.ts'
import { findConsul } from '../../test/fixtures/install.ts'
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

async function measureStart(
  lab: Lab,
  quietSeconds: number,
  dir: string,
  consul: string | undefined,
): Promise<SidecarSample> {
  const running = await startSidecar({ backendPort: lab.backend.port, core: lab.proxyCore, dir }, consul)
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

/** An agent with the service that the routes lead to; or why there is none. */
async function consulFor(lab: Lab): Promise<{ readonly agent?: ConsulAgent; readonly reason: string }> {
  const { path, reason } = await findConsul()
  if (path === undefined) return { reason }
  const agent = await startConsulAgent()
  const web = { ID: 'web-1', Name: 'web', Address: '127.0.0.1', Port: lab.backend.port }
  await agent.api('PUT', '/v1/agent/service/register', web)
  return { agent, reason }
}

/** The table: a row for each kind of catalog, by its name; nobody is beside them. */
export function renderSidecar(
  samples: ReadonlyMap<string, readonly SidecarSample[]>,
  quietSeconds: number,
  doubts: readonly string[] = [],
): string {
  const header = ['catalog', 'ready after ms', 'RSS MiB', 'PSS MiB', `CPU ms in ${quietSeconds} quiet s`]
  const rows = [...samples].map(([catalog, starts]) => {
    const mebibytes = (pick: (sample: SidecarSample) => number | undefined): string =>
      spread(spreadOf(starts.map((sample) => (pick(sample) ?? Number.NaN) / 1_048_576)), 1)
    return [
      catalog,
      spread(spreadOf(starts.map(({ readyAfterMs }) => readyAfterMs)), 0),
      mebibytes(({ residentBytes }) => residentBytes),
      mebibytes(({ pssBytes }) => pssBytes),
      spread(spreadOf(starts.map(({ quietCpuMs }) => quietCpuMs)), 1),
    ]
  })
  return section('A sidecar with ten routes that is asked nothing', header, rows, doubts)
}

export const sidecar: Question = {
  asks: 'What does Fairlead cost as a sidecar with ten routes that is asked nothing?',
  how:
    'Started as the package and the image have it (npm run build), once per round, on a core of its own: the time to /readyz, memory (RSS, and PSS, ' +
    'which counts pages shared with other processes in part), and the CPU time of 10 s (--quiet) in which nothing is asked. Once with a file as its catalog, and once with a Consul agent, where one can be had.',
  async *ask(lab, _, options) {
    await buildPackage()
    const { agent, reason } = await consulFor(lab)
    try {
      const samples = new Map<string, SidecarSample[]>([['file', []]])
      if (agent) samples.set('Consul', [])
      for (let round = 0; round < lab.rounds; round++)
        for (const [catalog, starts] of samples) {
          lab.say(`sidecar: round ${round + 1} of ${lab.rounds}, ${catalog}`)
          const dir = join(lab.dir, `sidecar-${catalog}-${round}`)
          const address = catalog === 'file' ? undefined : agent?.address
          starts.push(await measureStart(lab, options.quietSeconds, dir, address))
        }
      yield {
        markdown: renderSidecar(samples, options.quietSeconds, agent ? [] : [`Not with Consul: ${reason}`]),
        figures: { quietSeconds: options.quietSeconds, samples: Object.fromEntries(samples) },
      }
    } finally {
      await agent?.stop()
    }
  },
}
