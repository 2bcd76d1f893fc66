/**
 * Loaded into a process that is measured (`node --import`): a SIGPROF makes it collect all of its garbage at once. It knows nothing
 * of what the process does.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { isMainThread } from 'node:worker_threads'

if (isMainThread) {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  process.on('SIGPROF', () => collect())
}
