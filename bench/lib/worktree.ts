/**
 * Another commit's sources beside the working tree, for as long as they are needed: a git worktree in a temporary folder
 * that borrows this tree's node_modules.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Worktree {
  readonly path: string
  /** Short hash of the commit. */
  readonly revision: string
  /** Removes the folder and what git knows of it. Idempotent. */
  readonly remove: () => void
}

/** Checks out `revision` of the repository at `root`. Throws git's own message when there is no such commit. */
export function addWorktree(root: string, revision: string): Worktree {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
  const commit = git('rev-parse', '--verify', '--short', `${revision}^{commit}`)
  const parent = mkdtempSync(join(tmpdir(), 'fairlead-guard-'))
  const path = join(parent, 'tree')
  const remove = (): void => {
    process.off('exit', remove)
    if (!existsSync(parent)) return
    rmSync(parent, { recursive: true, force: true })
    git('worktree', 'prune')
  }
  process.on('exit', remove)
  try {
    git('worktree', 'add', '--quiet', '--detach', path, commit)
    symlinkSync(join(root, 'node_modules'), join(path, 'node_modules'))
  } catch (error) {
    remove()
    throw error
  }
  return { path, revision: commit, remove }
}
