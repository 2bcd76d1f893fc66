/** The demonstration as a user runs it: what it says, what it exits with, and that nothing is left behind. */
import { createServer } from 'node:net'
import t from 'tap'
import { allGone, childrenOf, fairlead } from '../fixtures/command.ts'
import { until } from '../fixtures/until.ts'

const slow = { timeoutMs: 20_000 }

t.test('--for ends by itself, with a summary, exit 0 and no process left', async (t) => {
  // Somebody has the usual port already.
  const busy = createServer()
  await new Promise<void>((resolve) => busy.once('error', () => resolve()).listen(8080, '127.0.0.1', resolve))
  t.teardown(() => void busy.close())
  const demo = fairlead(['demo', '--for', '4s'])
  t.teardown(() => demo.child.kill('SIGKILL'))
  const children = await until(() => (childrenOf(demo.pid).length >= 5 ? childrenOf(demo.pid) : undefined), slow)
  await until(() => /curl|proxy {4}http/.test(demo.out()), slow)
  const [, port] = /proxy {4}http:\/\/127\.0\.0\.1:(\d+)\//.exec(demo.out()) ?? []
  t.not(port, '8080')
  await until(() => demo.out().includes('9.7.0'), slow)
  const answer = await fetch(`http://127.0.0.1:${port}/hello`)
  t.match(await answer.json(), { service: 'shop', version: /^9\.[78]\.0$/, instance: /^shop-\d+$/ })
  t.equal(await demo.exit, 0, demo.out() + demo.err())
  t.equal(demo.err(), '')
  const said = demo.out()
  for (const expected of [
    /table {4}http:\/\/127\.0\.0\.1:\d+\/v1\/table/,
    /metrics {2}http:\/\/127\.0\.0\.1:\d+\/metrics/,
    /catalog {2}http:\/\/127\.0\.0\.1:\d+\/v1\/health\/service\/shop/,
    / 9\.7\.0 \d+% \(shop-1 \d+%.*\) {2}9\.8\.0 \d+% \(.*shop-\d \d+%\) {2}\d+\/s, p99 \d+ ms, failed/,
    /kill -9 (shop-\d) \((9\.[78]\.0)\); (shop-6) starts in its place/,
    /shop-6 has registered and is routed/,
    /requests {4}\d+ \(\d+ GET, \d+ POST\), 9\.7\.0 \d+%, 9\.8\.0 \d+%/,
    /killed {6}\d: shop-\d/,
    /failed {6}0 otherwise/,
  ])
    t.match(said, expected)
  const [, heavy] = /, 9\.7\.0 (\d+)%, 9\.8\.0 \d+%/.exec(said) ?? []
  t.ok(Math.abs(Number(heavy) - 75) < 10, `the versions get their weights: ${heavy}%`)
  await allGone([...children])
})

t.test('Ctrl-C ends everything and sums up', async (t) => {
  // As at a terminal, the signal reaches the whole group.
  const demo = fairlead(['demo'], { detached: true })
  t.teardown(() => demo.child.kill('SIGKILL'))
  await until(() => /\d\/s, p99/.test(demo.out()), slow)
  const children = childrenOf(demo.pid)
  t.ok(children.length >= 5)
  process.kill(-demo.pid, 'SIGINT')
  t.equal(await demo.exit, 0, demo.out() + demo.err())
  t.match(demo.out(), /failed {6}0 otherwise/)
  await allGone(children)
})

t.test('a demonstration that is killed leaves nothing behind', async (t) => {
  const demo = fairlead(['demo'])
  // Once they serve, nothing but the pipe tells them.
  await until(() => /\d\/s, p99/.test(demo.out()), slow)
  const children = childrenOf(demo.pid)
  t.ok(children.length >= 5)
  t.teardown(() => {
    for (const pid of children) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // As it should be.
      }
    }
  })
  const killed = new Promise((resolve) => demo.child.once('exit', resolve))
  demo.child.kill('SIGKILL')
  // Not its `exit`: that waits for whoever holds its output, which a child left behind would.
  await killed
  await allGone(children)
  t.pass('they ended with it')
})

t.test('a duration that is none is misuse', async (t) => {
  for (const text of ['20', 'soon', '0s', '-5s']) {
    const demo = fairlead(['demo', `--for=${text}`])
    t.equal(await demo.exit, 2, text)
    t.match(demo.err(), 'Write it as 500ms, 20s or 1m.')
  }
})
