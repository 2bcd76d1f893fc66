/**
 * What a figure must be read with: the machine, the kernel, the versions.
 */
import { execFileSync } from 'node:child_process'
import { cpus, release, type } from 'node:os'
import { projectRoot } from './contestants.ts'

/** What a figure must be read with, field by field, for the results as JSON. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly kernel: string
  readonly node: string
}

export function machine(): Machine {
  const all = cpus()
  const cpu = all[0]?.model.trim() ?? 'unknown CPU'
  return { cpu, cores: all.length, kernel: `${type()} ${release()}`, node: process.version }
}

/** One line: CPU model, cores, kernel, Node. */
export function describeMachine(): string {
  const { cpu, cores, kernel, node } = machine()
  return `${cpu}, ${cores} cores, ${kernel}, Node ${node}`
}

/** The commit of the working tree, short, with a plus when it has changes that are not committed; 'unknown' without git. */
export function describeRevision(): string {
  try {
    const git = (...args: string[]): string =>
      execFileSync('git', args, { cwd: projectRoot, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
    const changes = git('status', '--porcelain', '--untracked-files=no') === '' ? '' : '+'
    return git('rev-parse', '--short', 'HEAD') + changes
  } catch {
    return 'unknown'
  }
}
