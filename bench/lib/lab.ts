/**
 * Sets the scene of a run and clears it away: cores, backend, load generator, a folder for files.
 */
import { mkdtempSync, rmSync, chmodSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startBackend } from './backend.ts'
import { loadTool } from './load.ts'
import type { Lab } from './measure.ts'
import type { RoundOptions } from './options.ts'
import { allowedCores, pinSelf } from './process.ts'

/** A line about progress, on stderr, so that stdout holds nothing but results. */
export function sayProgress(line: string): void {
  const { stderr } = process
  stderr.write(stderr.isTTY ? `\r\u001b[K${line}` : `${line}\n`)
}

/** The core of the proxy, that of everything else, and one that is left over; undefined where there are not so many. */
export function chooseCores(allowed: readonly number[] | undefined): {
  readonly proxy: number | undefined
  readonly rest: number | undefined
  readonly spare: number | undefined
} {
  const [proxy, rest, spare] = allowed ?? []
  if (proxy === undefined || rest === undefined) return { proxy: undefined, rest: undefined, spare: undefined }
  return { proxy, rest, spare }
}

/** Runs `work` in a lab made by `options`; whatever happens, ends what was started and removes what was written. */
export async function withLab<T>(
  options: RoundOptions,
  alternate: boolean,
  work: (lab: Lab, cores: ReturnType<typeof chooseCores>) => Promise<T>,
): Promise<T> {
  const cores = chooseCores(allowedCores())
  if (cores.proxy === undefined) process.stderr.write('No two cores to pin to: figures will be noisy.\n')
  pinSelf(cores.rest)
  const dir = mkdtempSync(join(tmpdir(), 'fairlead-bench-'))
  // servers that drop their privileges must still reach their files
  chmodSync(dir, 0o755)
  const remove = (): void => rmSync(dir, { recursive: true, force: true })
  process.on('exit', remove)
  try {
    const backend = await startBackend(options.backend, cores.rest, join(dir, 'backend'))
    try {
      const load = loadTool(options.load, cores.rest)
      const { rounds, seconds, warmUpSeconds } = options
      const lab: Lab = {
        backend,
        load,
        proxyCore: cores.proxy,
        restCore: cores.rest,
        spareCore: cores.spare,
        dir,
        rounds,
        seconds,
        warmUpSeconds,
        alternate,
        say: sayProgress,
      }
      return await work(lab, cores)
    } finally {
      await backend.stop()
    }
  } finally {
    process.off('exit', remove)
    remove()
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
  }
}
