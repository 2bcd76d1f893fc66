/**
 * One measurement's load: runs wrk where installed, else the bench's own generator, on the load core.
 */
import { fileURLToPath } from 'node:url'
import type { Question } from './payload.ts'
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
  /** Loads 127.0.0.1:port with one question. */
  run(port: number, question: Question, connections: number, seconds: number): Promise<LoadFigures>
}

function wrkTool(wrk: string, core: number | undefined): LoadTool {
  const script = fileURLToPath(new URL('../load/wrk.lua', import.meta.url))
  return {
    name: 'wrk',
    async run(port, question, connections, seconds) {
      const flags = ['-t1', `-c${connections}`, `-d${Math.max(1, Math.round(seconds))}s`, '--timeout', '10s']
      const target = [`http://127.0.0.1:${port}/`, '--', question.method, question.path]
      const bytes = String(question.requestBody.length)
      return lastJson(await runToEnd(core, wrk, [...flags, '-s', script, ...target, bytes]))
    },
  }
}

function nodeTool(core: number | undefined): LoadTool {
  const script = fileURLToPath(new URL('../load/generator.ts', import.meta.url))
  return {
    name: 'node',
    async run(port, question, connections, seconds) {
      const what = [String(port), question.method, question.path, String(question.requestBody.length)]
      return lastJson(await runToEnd(core, process.execPath, [script, ...what, String(connections), String(seconds)]))
    },
  }
}

function lastJson(stdout: string): LoadFigures {
  const line = stdout.trim().split('\n').at(-1) ?? ''
  return JSON.parse(line) as LoadFigures
}

/** The tool asked for; auto prefers wrk, which costs the backend's core least. wrk measures whole seconds only. */
export function loadTool(wanted: 'auto' | 'wrk' | 'node', core: number | undefined): LoadTool {
  const wrk = wanted === 'node' ? undefined : findProgram('wrk')
  if (wrk !== undefined) return wrkTool(wrk, core)
  if (wanted === 'wrk') throw new Error('wrk is not installed: apt-get install wrk')
  return nodeTool(core)
}
