/**
 * What a figure must be read with: the machine, the kernel, the versions.
 */
import { execFileSync } from 'node:child_process'
import { cpus, release, type } from 'node:os'
import { projectRoot } from './contestants.ts'

/** One line: CPU model, cores, kernel, Node. */
export function describeMachine(): string {
  const all = cpus()
  return `${all[0]?.model.trim() ?? 'unknown CPU'}, ${all.length} cores, ${type()} ${release()}, Node ${process.version}`
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
