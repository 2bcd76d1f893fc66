import t, { type Test } from 'tap'
import { runCatalog } from '../../src/cli/catalog/run.ts'
import { systemClock } from '../../src/core/clock.ts'
import { type Logger, silentLogger } from '../../src/core/log.ts'
import { seededRandom } from '../../src/core/random.ts'

async function warnings(t: Pick<Test, 'teardown'>, host: string): Promise<readonly string[]> {
  const said: string[] = []
  const log: Logger = { ...silentLogger, warn: (_fields, message) => void said.push(message) }
  const catalog = await runCatalog({ host, port: 0 }, { clock: systemClock, random: seededRandom(1), log })
  t.teardown(() => catalog.close())
  return said
}

void t.test('an address that others can reach is warned of', async (t) => {
  t.match(await warnings(t, '0.0.0.0'), [/^there is no ACL: whoever reaches this address can register services/])
  t.same(await warnings(t, '127.0.0.1'), [])
  t.same(await warnings(t, 'localhost'), [])
})
