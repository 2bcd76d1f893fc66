import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { addWorktree } from '../../bench/lib/worktree.ts'

t.test('another commit beside the working tree, and nothing left of it', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'fairlead-test-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  const who = ['-c', 'user.name=t', '-c', 'user.email=t@example.com']
  const git = (...args: string[]): string => execFileSync('git', [...who, ...args], { cwd: root, encoding: 'utf8' })
  git('init', '--quiet')
  writeFileSync(join(root, 'file'), 'old')
  git('add', 'file')
  git('commit', '--quiet', '-m', 'old')
  writeFileSync(join(root, 'file'), 'new')
  mkdirSync(join(root, 'node_modules'))
  writeFileSync(join(root, 'node_modules/package'), 'borrowed')

  const worktree = addWorktree(root, 'HEAD')
  t.equal(readFileSync(join(worktree.path, 'file'), 'utf8'), 'old')
  t.equal(readFileSync(join(worktree.path, 'node_modules/package'), 'utf8'), 'borrowed')
  t.equal(worktree.revision, git('rev-parse', '--short', 'HEAD').trim())
  worktree.remove()
  worktree.remove()
  t.notOk(existsSync(worktree.path))
  t.equal(readFileSync(join(root, 'node_modules/package'), 'utf8'), 'borrowed', 'the link went, not what it points at')
  t.equal(git('worktree', 'list').trim().split('\n').length, 1)
  t.throws(() => addWorktree(root, 'nonsense'), /nonsense|verify/)
  t.throws(() => addWorktree(root, '--help'), /rev-parse|verify/)
  t.equal(readFileSync(join(root, 'file'), 'utf8'), 'new', 'the working tree was not touched')
  t.end()
})
