/**
 * Starts the backend of a run: nginx where installed, since it costs least, else canned answers from Node.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { largeBody, smallBody } from './payload.ts'
import { findProgram, freePort, startServer } from './process.ts'
import type { Running } from './process.ts'
import { renderTemplate } from './template.ts'

export interface Backend extends Running {
  readonly name: 'nginx' | 'node'
  readonly port: number
}

/** Starts it on a core; `dir` takes its files. Rejects when nginx is asked for and not installed. */
export async function startBackend(
  wanted: 'auto' | 'nginx' | 'node',
  core: number | undefined,
  dir: string,
): Promise<Backend> {
  const port = await freePort()
  const nginx = wanted === 'node' ? undefined : findProgram('nginx')
  if (nginx === undefined) {
    if (wanted === 'nginx') throw new Error('nginx is not installed: apt-get install nginx-light')
    const script = fileURLToPath(new URL('../backend/raw.ts', import.meta.url))
    const server = { name: 'backend', core, command: process.execPath, args: [script, String(port)], port }
    return { ...(await startServer(server)), name: 'node', port }
  }
  // a worker that dropped its privileges must reach the file it serves
  mkdirSync(dir, { recursive: true, mode: 0o755 })
  writeFileSync(join(dir, 'large'), largeBody)
  const template = new URL('../backend/nginx.conf', import.meta.url)
  const config = renderTemplate(template, join(dir, 'nginx.conf'), { dir, port, smallBody })
  const server = { name: 'backend (nginx)', core, command: nginx, args: ['-p', dir, '-c', config], port }
  return { ...(await startServer(server)), name: 'nginx', port }
}
