/**
 * One measurement's load: a closed loop by wrk where installed, else by the bench's own generator, on the load core; and an
 * open loop, which is always the bench's own.
 */
import { fileURLToPath } from 'node:url'
import type { Exchange } from './payload.ts'
import { findProgram, runToEnd } from './process.ts'

/** What the clients saw. */
export interface LoadFigures {
  /** Requests answered within the window. */
  readonly requests: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Connections that failed, answers other than 2xx and 3xx, timeouts. */
  readonly errors: number
}

export interface LoadTool {
  readonly name: 'wrk' | 'node'
  /** Loads 127.0.0.1:port with one exchange. */
  run(port: number, exchange: Exchange, connections: number, seconds: number): Promise<LoadFigures>
}

/** The path of one of the bench's own generators. */
const generator = (name: string): string => fileURLToPath(new URL(`../load/${name}.ts`, import.meta.url))

function wrkTool(wrk: string, core: number | undefined): LoadTool {
  const script = fileURLToPath(new URL('../load/wrk.lua', import.meta.url))
  return {
    name: 'wrk',
    async run(port, exchange, connections, seconds) {
      const flags = ['-t1', `-c${connections}`, `-d${Math.max(1, Math.round(seconds))}s`, '--timeout', '10s']
      const target = [`http://127.0.0.1:${port}/`, '--', exchange.method, exchange.path]
      const bytes = String(exchange.requestBody.length)
      return lastJson(await runToEnd(core, wrk, [...flags, '-s', script, ...target, bytes])) as LoadFigures
    },
  }
}

function nodeTool(core: number | undefined): LoadTool {
  const script = generator('generator')
  return {
    name: 'node',
    async run(port, exchange, connections, seconds) {
      const what = [String(port), exchange.method, exchange.path, String(exchange.requestBody.length)]
      return lastJson(
        await runToEnd(core, process.execPath, [script, ...what, String(connections), String(seconds)]),
      ) as LoadFigures
    },
  }
}

function lastJson(stdout: string): unknown {
  const line = stdout.trim().split('\n').at(-1) ?? ''
  return JSON.parse(line)
}

/** The tool asked for; auto prefers wrk, which costs the backend's core least. wrk measures whole seconds only. */
export function loadTool(wanted: 'auto' | 'wrk' | 'node', core: number | undefined): LoadTool {
  const wrk = wanted === 'node' ? undefined : findProgram('wrk')
  if (wrk !== undefined) return wrkTool(wrk, core)
  if (wanted === 'wrk') throw new Error('wrk is not installed: apt-get install wrk')
  return nodeTool(core)
}

/** Latencies count from when each request was due. `requests` are those answered. */
export interface OpenLoopFigures extends LoadFigures {
  readonly p999Ms: number
  readonly maxMs: number
  /** How late the generator itself was at its 99th percentile: above some tenths of a ms the figures are its own. */
  readonly ownLatenessP99Ms: number
}

export interface OpenLoopSetting {
  /** Core to pin it to; undefined: wherever. */
  readonly core: number | undefined
  /** It shares that core with what it measures: it then runs only when nobody else there wants to, since it polls. */
  readonly yields: boolean
  /** Requests per second. */
  readonly rate: number
  readonly seconds: number
  /** Connections it may open. */
  readonly maxConnections: number
}

// chrt(1) is from util-linux, as taskset is; its idle policy needs no privilege and gives way to all else at once
const yielding = (node: readonly string[]): readonly string[] => ['chrt', '--idle', '0', ...node]

/** Runs a generator of the bench to its end, and takes the figures that it prints. */
async function runOwn(
  { core, yields }: Pick<OpenLoopSetting, 'core' | 'yields'>,
  name: string,
  args: readonly (string | number)[],
): Promise<unknown> {
  const node = [process.execPath, generator(name), ...args.map(String)]
  const [command = '', ...rest] = yields ? yielding(node) : node
  return lastJson(await runToEnd(core, command, rest))
}

/** Who came all at once. Times are of those who were answered; the others are the errors. */
export interface NewcomersFigures extends LoadFigures {
  readonly maxMs: number
}

/** Has `count` new clients come to 127.0.0.1:port at once and ask once each; who has no answer after `patienceSeconds` gives up. */
export async function runNewcomers(
  port: number,
  { path }: Exchange,
  setting: Pick<OpenLoopSetting, 'core' | 'yields'> & { readonly count: number; readonly patienceSeconds: number },
): Promise<NewcomersFigures> {
  const { count, patienceSeconds } = setting
  return (await runOwn(setting, 'newcomers', [port, path, count, patienceSeconds])) as NewcomersFigures
}

/** One client of 127.0.0.1:port that pipelines without end. It has no latencies. */
export async function runPipelining(
  port: number,
  { path }: Exchange,
  setting: { readonly core: number | undefined; readonly seconds: number },
): Promise<LoadFigures> {
  const args = [port, path, setting.seconds]
  return (await runOwn({ ...setting, yields: false }, 'pipelining', args)) as LoadFigures
}

/** Sends one exchange to 127.0.0.1:port at a fixed rate, after a second of it that is not measured. Resolves up to 5 s after the last was due. */
export async function runOpenLoop(
  port: number,
  exchange: Exchange,
  setting: OpenLoopSetting,
): Promise<OpenLoopFigures> {
  const { rate, seconds, maxConnections } = setting
  const what = [port, exchange.method, exchange.path, exchange.requestBody.length]
  return (await runOwn(setting, 'open-loop', [...what, rate, seconds, maxConnections, 5, 1])) as OpenLoopFigures
}
