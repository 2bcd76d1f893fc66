import t from 'tap'
import { contestantNames, parseBenchOptions, parseGuardOptions, questionNames } from '../../bench/lib/options.ts'

/** Keeps commander's messages out of the test's output, and returns them. */
function messagesOf(t: { readonly teardown: (fn: () => void) => void }): () => string {
  let text = ''
  const write = process.stderr.write.bind(process.stderr)
  process.stderr.write = (chunk: string | Uint8Array): boolean => {
    text += String(chunk)
    return true
  }
  t.teardown(() => void (process.stderr.write = write))
  return () => text
}

t.test('nothing said: every question, both numbers of connections, every contestant', (t) => {
  const options = parseBenchOptions([])
  t.match(options, { questions: questionNames, connections: [64, 512], contestants: contestantNames, load: 'auto' })
  t.equal(options.json, undefined)
  t.ok(options.rounds >= 5)
  t.end()
})

t.test('what is said wins over --quick, which wins over the defaults', (t) => {
  const usual = parseBenchOptions([])
  const quick = parseBenchOptions(['--quick', '--rounds', '9'])
  t.equal(quick.rounds, 9)
  t.ok(quick.seconds < usual.seconds)
  t.same(quick.questions, usual.questions)
  t.end()
})

t.test('lists', (t) => {
  const args = [
    '--only',
    'small,post',
    '--connections',
    '64',
    '--contestants',
    'fairlead,haproxy, relay',
    '--seconds',
    '0.5',
  ]
  t.match(parseBenchOptions([...args, '--json', 'out.json', '--backend', 'node']), {
    questions: ['small', 'post'],
    connections: [64],
    contestants: ['fairlead', 'haproxy', 'relay'],
    seconds: 0.5,
    json: 'out.json',
    backend: 'node',
  })
  t.end()
})

t.test('what single questions take', (t) => {
  t.match(parseBenchOptions([]), {
    newcomers: 2_000,
    clients: 10_000,
    tunnels: 2_000,
    quietSeconds: 10,
    rate: undefined,
    list: false,
  })
  const sizes = [
    '--rate',
    '5000',
    '--newcomers',
    '7',
    '--clients',
    '300',
    '--tunnels',
    '20',
    '--settle',
    '0',
    '--quiet',
    '0.5',
  ]
  t.match(
    parseBenchOptions([...sizes, '--markdown', 'out.md', '--list', '--only', 'latency,idle,websockets,sidecar']),
    {
      questions: ['latency', 'idle', 'websockets', 'sidecar'],
      rate: 5_000,
      clients: 300,
      tunnels: 20,
      settleSeconds: 0,
      quietSeconds: 0.5,
      markdown: 'out.md',
      list: true,
    },
  )
  t.ok(parseBenchOptions(['--quick']).settleSeconds < parseBenchOptions([]).settleSeconds)
  t.equal(parseBenchOptions(['--quick', '--quiet', '7']).quietSeconds, 7)
  t.end()
})

t.test('mistakes are refused with what was expected', (t) => {
  const cases: readonly [readonly string[], RegExp][] = [
    [['--only', 'smal'], /'smal' is not one of small, large, post/],
    [['--contestants', 'traefik'], /'traefik' is not one of fairlead/],
    [['--connections', '64,x'], /whole number from 1 to 10000/],
    [['--connections', ''], /whole number/],
    [['--rounds', '0'], /whole number from 1/],
    [['--rounds', '1.5'], /whole number/],
    [['--seconds', 'soon'], /a number from 0.1/],
    [['--load', 'ab'], /Allowed choices are auto, wrk, node/],
    [['--rate', '0'], /whole number from 1/],
    [['--clients', 'many'], /whole number/],
    [['--settle', '-1'], /a number from 0/],
    [['--nonsense'], /unknown option '--nonsense'/],
    [['extra'], /too many arguments/],
  ]
  const messages = messagesOf(t)
  for (const [args, expected] of cases) {
    t.throws(() => parseBenchOptions(args), { code: /^commander\./ }, args.join(' '))
    t.match(messages(), expected)
  }
  t.end()
})

t.test('the guard takes a revision, and enough rounds for a verdict even when quick', (t) => {
  t.match(parseGuardOptions(['HEAD~1', '--only', 'small']), { revision: 'HEAD~1', questions: ['small'] })
  t.ok(parseGuardOptions(['v1', '--quick']).rounds >= 6)
  messagesOf(t)
  t.throws(() => parseGuardOptions([]), { code: 'commander.missingArgument' })
  t.throws(() => parseGuardOptions(['a', '--only', 'idle']), { code: 'commander.invalidArgument' }, 'exchanges only')
  t.throws(() => parseGuardOptions(['a', 'b']), { code: 'commander.excessArguments' })
  t.end()
})
