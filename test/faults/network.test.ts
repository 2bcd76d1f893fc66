/** A vanished network: the run itself is network-inside.ts, in namespaces of its own. */
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { ownWorld, whyNoNetworks } from './lib/networks.ts'

const inside = fileURLToPath(new URL('network-inside.ts', import.meta.url))
const reason = whyNoNetworks()
const [command = '', ...args] = ownWorld

if (reason !== undefined) t.pass('a vanished network', { skip: reason })
else await t.spawn(command, [...args, process.execPath, ...process.execArgv, inside], {}, 'in namespaces of its own')
