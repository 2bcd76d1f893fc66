/**
 * What control takes in the place of its own parts when requests run in worker processes: the data plane, the access log
 * (of which only the mode is asked here) and a log whose level is told on. See `fleet-plane.ts` for what it does.
 */
import type { DataPlane, DataPlaneObserver, DataPlaneOptions } from '../proxy/options.ts'
import type { AccessLog, AccessMode } from '../telemetry/access-log.ts'
import type { AppLogger } from '../telemetry/log.ts'
import type { WorkerSource } from '../telemetry/worker-metrics.ts'
import { FleetPlane, type FleetOptions } from './fleet-plane.ts'

export interface Fleet extends WorkerSource {
  /** Called once, before `open`. */
  createPlane(options: DataPlaneOptions): DataPlane
  /** Opens the socket for workers. Rejects with FL_LISTEN. */
  open(): Promise<void>
  readonly accessLog: AccessLog
  readonly log: AppLogger
  /** Why requests are not served, a sentence each; empty: they are. */
  notReady(): readonly string[]
}

export function createFleet(options: FleetOptions): Fleet {
  let plane: FleetPlane | undefined
  const modes = new Map<DataPlaneObserver, AccessMode>()
  const observers = new Map<AccessMode, DataPlaneObserver>()
  for (const mode of ['all', 'errors'] as const) {
    // Nobody calls it: the plane here has no requests. It only stands for its mode.
    const observer: DataPlaneObserver = { requestDone() {} }
    modes.set(observer, mode)
    observers.set(mode, observer)
  }
  const modeOf = (observer: DataPlaneObserver | undefined): AccessMode => (observer && modes.get(observer)) ?? 'off'
  const { log } = options
  return {
    createPlane: (planeOptions) => (plane = new FleetPlane(options, planeOptions, modeOf)),
    open: async () => plane?.open(),
    accessLog: {
      observer: (mode) => observers.get(mode),
      dropped: () => plane?.totals.linesDropped ?? 0,
    },
    log: {
      ...log,
      setLevel: (level) => {
        log.setLevel(level)
        plane?.setLevel(level)
      },
    },
    notReady: () => plane?.notReady() ?? [],
    refresh: async () => plane?.refresh(),
    figures: () => ({ workers: plane?.totals.workers() ?? [], messagesLost: plane?.totals.messagesLost ?? 0 }),
  }
}
