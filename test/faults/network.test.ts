/** A vanished network: the run itself is network-inside.ts, in namespaces of its own. */
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { long } from './lib/form.ts'
import { ownWorld, whyNoNetworks } from './lib/networks.ts'

t.setTimeout(long ? 3_600_000 : 180_000)

const inside = fileURLToPath(new URL('network-inside.ts', import.meta.url))
const reason = whyNoNetworks()
const [command = '', ...args] = ownWorld

if (reason !== undefined) t.pass('a vanished network', { skip: reason })
else
  await t.spawn(
    command,
    [...args, process.execPath, ...process.execArgv, inside],
    { timeout: long ? 3_600_000 : 180_000 },
    'in namespaces of its own',
  )
