import { readFileSync } from 'node:fs'
import t from 'tap'
import { insertReference, renderReference } from '../../src/config/reference.ts'
import { defaultWireLimits } from '../../src/wire/limits.ts'

void t.test('the README says what the schema says', (t) => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  t.ok(insertReference(readme) === readme, 'stale: run npm run docs')
  t.throws(() => insertReference('# nothing'), /README\.md has no/)
  t.end()
})

void t.test('every setting has a row with its meaning', (t) => {
  const text = renderReference()
  const rows = text.split('\n').filter((line) => line.startsWith('| `'))
  t.ok(rows.length > 70)
  for (const row of rows) {
    const cells = row.split(/(?<!\\)\|/).map((cell) => cell.trim())
    t.equal(cells.length, 7, row)
    t.ok(cells[2] && cells[5], row)
  }
  t.equal(rows.filter((row) => row.startsWith('| `limits.')).length, Object.keys(defaultWireLimits).length)
  t.match(text, '| `limits.headTimeout` | duration | `10s` | 10ms to 1h |')
  t.match(text, '| `services.NAME.retry.budget` | share | `20%` | 0% to 100% |')
  t.match(text, '| `listen[].address` | host:port | required |')
  t.end()
})
