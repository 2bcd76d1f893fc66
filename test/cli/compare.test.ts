/**
 * `fairlead compare`: what differs between two tables, and the command against a real proxy and an answer in the form of
 * fabio's `/api/routes` (written after fabio's `admin/api/routes.go`).
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { FabioTarget, OwnTable } from '../../src/cli/compare/answer.ts'
import { compareTables } from '../../src/cli/compare/compare.ts'
import { comparisonText } from '../../src/cli/compare/run.ts'
import { backend, configOf, portOf, quiet, rigApp } from '../fixtures/app.ts'
import { fairlead } from '../fixtures/command.ts'

/** `shop.example.com/cart strip=/cart` to `http://10.0.0.1:80/`. */
function target(place: string, service: string, dst: string, weight = 1, opts = ''): FabioTarget {
  const slash = place.indexOf('/')
  return { service, host: place.slice(0, slash), path: place.slice(slash), dst, opts, weight }
}

type OwnRoute = OwnTable['routes'][number]

function own(place: string, service: string, rest: Partial<OwnRoute> = {}): OwnRoute {
  const slash = place.indexOf('/')
  return { host: place.slice(0, slash), path: place.slice(slash), service, origin: `tag:${service}`, ...rest }
}

/** Each version's weight, and its endpoints at port 80 with their weights. */
function serviceOf(
  name: string,
  versions: Readonly<Record<string, readonly [number, Readonly<Record<string, number>>]>>,
): OwnTable['services'][number] {
  return {
    name,
    versions: Object.entries(versions).map(([version, [weight, endpoints]]) => ({
      version,
      weight,
      endpoints: Object.entries(endpoints).map(([address, each]) => ({ address, port: 80, weight: each })),
    })),
  }
}

const web = serviceOf('web', { '': [2, { '10.0.0.1': 1, '10.0.0.2': 1 }] })
const two = serviceOf('two', { a: [2, { '10.0.1.1': 1 }], b: [3, { '10.0.1.2': 1 }] })
const more = serviceOf('more', { a: [1, { '10.0.2.1': 1 }], b: [1, { '10.0.2.2': 1 }] })
const odd = serviceOf(
  'odd',
  Object.fromEntries([
    ['constructor', [1, { '10.0.3.1': 1 }]],
    ['a', [1, { '10.0.3.2': 1 }]],
  ] as const),
)
const named = serviceOf('named', { '': [1, { 'Node-a': 1 }] })
const both = (place: string, opts = ''): FabioTarget[] => [
  target(place, 'web', 'http://10.0.0.1:80/', 0.5, opts),
  target(place, 'web', 'http://10.0.0.2:80/', 0.5, opts),
]

/** What `named` has of it. */
const shared = (place: string, part: number, opts = ''): FabioTarget[] => [
  target(place, 'web', 'http://10.0.0.1:80/', (1 - part) / 2),
  target(place, 'web', 'http://10.0.0.2:80/', (1 - part) / 2),
  target(place, 'named', 'http://node-a:80/', part, opts),
]
const sharing = (place: string, part: number, instances?: Readonly<Record<string, number>>): OwnRoute =>
  own(place, 'web', {
    split: [
      { service: 'web', version: null, weight: 1 - part, share: 1 - part, ...(instances ? { instances } : {}) },
      { service: 'named', version: null, weight: part, share: part },
      { service: 'spare', version: null, weight: 0, share: 0, standby: true },
    ],
  })

t.test('what differs, and what does not', async (t) => {
  const cases: readonly (readonly [string, readonly FabioTarget[], readonly OwnRoute[], readonly string[]])[] = [
    ['nothing at all', [], [], []],
    ['the same', both('/x'), [own('/x', 'web')], []],
    ['a slash at the end, case of a host', both('Shop/x/'), [own('shop/x', 'web')], []],
    ['any host', both('*/x'), [own('/x', 'web')], []],
    ['a place that two services share', shared('/x', 0.5), [sharing('/x', 0.5)], []],
    [
      'with other shares',
      shared('/x', 0.2),
      [sharing('/x', 0.5)],
      [
        '/x shares: shares of fabio and of this proxy: 10.0.0.1:80 40 % and 25 %, 10.0.0.2:80 40 % and 25 %, node-a:80 20 % and 50 %',
      ],
    ],
    [
      'with an instance that tags weigh',
      [
        target('/x', 'web', 'http://10.0.0.1:80/', 0.6),
        target('/x', 'web', 'http://10.0.0.2:80/', 0.2),
        target('/x', 'named', 'http://node-a:80/', 0.2),
      ],
      [sharing('/x', 0.2, { '10.0.0.1:80': 0.6, '10.0.0.2:80': 0.2 })],
      [],
    ],
    [
      'with what the route does for all but one, and TLS of each its own',
      [...both('/x', 'strip=/x'), target('/x', 'named', 'http://node-a:80/', 1, 'strip=/x prepend=/y')],
      [
        own('/x', 'web', {
          options: { strip: '/x', proto: 'https' },
          split: [
            { service: 'web', version: null, weight: 1, share: 0.5 },
            { service: 'named', version: null, weight: 1, share: 0.5, options: { strip: '/x', prepend: '/y' } },
            { service: 'spare', version: null, weight: 0, share: 0, standby: true },
          ],
        }),
      ],
      [],
    ],
    [
      'with one that stands by, whatever it weighs, and one without weight',
      both('/x'),
      [
        own('/x', 'web', {
          split: [
            { service: 'web', version: null, weight: 1, share: 1 },
            { service: 'named', version: null, weight: 1, share: 0, standby: true },
            { service: 'spare', version: null, weight: 0, share: 0 },
          ],
        }),
      ],
      [],
    ],
    [
      'with versions: weights of the route are of its own service, and one version has all of its part',
      [
        target('/x', 'two', 'http://10.0.1.1:80/', 0.2),
        target('/x', 'two', 'http://10.0.1.2:80/', 0.4),
        target('/x', 'more', 'http://10.0.2.1:80/', 0.3),
        target('/x', 'more', 'http://10.0.2.2:80/', 0.1),
      ],
      [
        own('/x', 'two', {
          weights: { a: 3 },
          split: [
            { service: 'two', version: null, weight: 4, share: 0.4 },
            { service: 'two', version: 'b', weight: 2, share: 0.2 },
            { service: 'more', version: 'a', weight: 2, share: 0.2 },
            { service: 'more', version: null, weight: 2, share: 0.2 },
          ],
        }),
      ],
      [],
    ],
    [
      'a version by the name of what every object has',
      [target('/x', 'odd', 'http://10.0.3.1:80/', 0.5), target('/x', 'odd', 'http://10.0.3.2:80/', 0.5)],
      [own('/x', 'odd', { weights: { a: 1 } })],
      [],
    ],
    [
      'what cannot be said of a place that both have',
      [target('T.test/t/', 'web', 'http://10.0.0.1:80/', 1, 'auth=x')],
      [own('t.test/t', 'web')],
      [
        "t.test/t unsupported: fabio's route cannot be said here: auth= is not supported: nobody would be asked for a password, so the route is not made",
      ],
    ],
    [
      'with one of them alone',
      shared('/x', 0.5),
      [own('/x', 'web')],
      ['/x service: fabio sends it to named, web, this proxy to web'],
    ],
    [
      'with options of one of them',
      shared('/x', 0.5, 'strip=/x'),
      [sharing('/x', 0.5)],
      ['/x options: to named: fabio does strip /x, this proxy nothing'],
    ],
    ['a place that only fabio has', both('/x'), [], ['/x only-fabio: only fabio routes it, to web']],
    [
      'one that only we have',
      [],
      [own('a.test/', 'web'), own('b.test/', 'none'), own('c.test/', '', { options: { strip: '/' } })],
      [
        'a.test/ only-here: only this proxy routes it, to web (tag:web)',
        'b.test/ only-here: only this proxy routes it, to none (tag:none); it has no instance in traffic, for which fabio drops a route and this proxy answers 503',
        'c.test/ only-here: only this proxy routes it, to a redirect (tag:)',
      ],
    ],
    ['another service', both('/x'), [own('/x', 'shop')], ['/x service: fabio sends it to web, this proxy to shop']],
    [
      'two services on one place',
      [...both('/x'), target('/x', 'app', 'http://10.0.0.9:80/')],
      [own('/x', 'web')],
      ['/x service: fabio sends it to app, web, this proxy to web'],
    ],
    [
      'instances',
      [target('/x', 'web', 'http://10.0.0.1:80/'), target('/x', 'web', 'http://[FD00::1]:80/')],
      [own('/x', 'web')],
      ['/x instances: only fabio sends to [fd00::1]:80', '/x instances: only this proxy sends to 10.0.0.2:80'],
    ],
    [
      'an instance that fabio gives nothing',
      [target('/x', 'web', 'http://10.0.0.1:80/'), target('/x', 'web', 'http://10.0.0.2:80/', 0)],
      [own('/x', 'web')],
      ['/x instances: only this proxy sends to 10.0.0.2:80'],
    ],
    [
      'two of fabio that are one place here',
      [...both('/x'), ...both('/x/'), target('/x', 'web', 'http://10.0.0.1:80/', 0.5)],
      [own('/x', 'web')],
      ['/x shares: shares of fabio and of this proxy: 10.0.0.1:80 60 % and 50 %, 10.0.0.2:80 40 % and 50 %'],
    ],
    ['names of hosts in any case', [target('/x', 'named', 'http://node-A:80/')], [own('/x', 'named')], []],
    [
      'a redirect that only we have',
      both('/x'),
      [own('/x', '', { options: { redirect: { status: 301, to: '/y' } } })],
      ['/x options: fabio does nothing, this proxy redirect {"status":301,"to":"/y"}'],
    ],
    [
      'shares',
      [target('/x', 'web', 'http://10.0.0.1:80/', 0.05), target('/x', 'web', 'http://10.0.0.2:80/', 0.95)],
      [own('/x', 'web')],
      ['/x shares: shares of fabio and of this proxy: 10.0.0.1:80 5 % and 50 %, 10.0.0.2:80 95 % and 50 %'],
    ],
    [
      'shares that are all but the same',
      [target('/x', 'web', 'http://10.0.0.1:80/', 0.495), target('/x', 'web', 'http://10.0.0.2:80/', 0.505)],
      [own('/x', 'web')],
      [],
    ],
    [
      'equal options',
      both('/x', 'strip=/x host=dst'),
      [own('/x', 'web', { options: { strip: '/x', hostHeader: 'instance' } })],
      [],
    ],
    [
      'equal ranges',
      both('/x', 'allow=ip:10.0.0.1,ip:192.168.0.0/16'),
      [own('/x', 'web', { options: { allow: ['192.168.0.0/16', '10.0.0.1/32'] } })],
      [],
    ],
    [
      'other options',
      both('/x', 'strip=/x'),
      [own('/x', 'web', { options: { prepend: '/y', deny: ['10.0.0.0/8'] } })],
      ['/x options: fabio does strip /x, this proxy prepend /y, deny ["10.0.0.0/8"]'],
    ],
    [
      'options of one instance alone',
      [target('/x', 'web', 'http://10.0.0.1:80/', 0.5, 'strip=/x'), target('/x', 'web', 'http://10.0.0.2:80/', 0.5)],
      [own('/x', 'web')],
      ['/x options: fabio goes by the instance: strip /x or nothing; this proxy does nothing for all'],
    ],
    [
      'an equal redirect',
      [target('/x', 'web', 'https://new.test$path', 1, 'redirect=301')],
      [own('/x', '', { options: { redirect: { status: 301, to: 'https://new.test/x$path' } } })],
      [],
    ],
    [
      'another redirect',
      [target('/x', 'web', 'https://new.test/', 1, 'redirect=302')],
      [own('/x', 'web')],
      ['/x options: fabio does redirect {"status":302,"to":"https://new.test/"}, this proxy nothing'],
    ],
    [
      'what cannot be said here',
      [
        target('/s', 'web', 'https://10.0.0.1:80/'),
        target('/t', 'web', 'http://10.0.0.1:80/', 1, 'auth=x'),
        target('x.test:81/', 'web', 'http://10.0.0.1:80/'),
        { service: 'db', host: ':3306', path: '', dst: 'tcp://10.0.0.1:3306', opts: '', weight: 1 },
        target('/g', 'web', 'grpc://10.0.0.1:80'),
      ],
      [own('/s', 'web')],
      [
        "/g unsupported: fabio's route cannot be said here: the option proto=grpc is not supported",
        '/s options: fabio does proto https, this proxy nothing',
        '/s instances: only this proxy sends to 10.0.0.2:80',
        "/t unsupported: fabio's route cannot be said here: auth= is not supported: nobody would be asked for a password, so the route is not made",
        ":3306 unsupported: fabio's route cannot be said here: it asks for a TCP port; only HTTP routes are supported",
        "x.test:81/ unsupported: fabio's route cannot be said here: a host with a port is not supported: a route is for its host on every port",
      ],
    ],
  ]
  for (const [name, fabio, routes, expected] of cases) {
    const { differences } = compareTables(fabio, { routes, services: [web, named, two, more, odd] })
    t.same(
      differences.map(({ place, kind, message }) => `${place} ${kind}: ${message}`),
      expected,
      name,
    )
  }
})

t.test('shares by version, and those of the route itself', async (t) => {
  const shop = serviceOf('shop', {
    1: [90, { '10.0.0.1': 1, '10.0.0.2': 2, '10.0.0.3': 0 }],
    2: [10, { '10.0.0.4': 5 }],
    3: [0, { '10.0.0.5': 1 }],
  })
  const fabio = (a: number, b: number, c: number): FabioTarget[] => [
    target('/', 'shop', 'http://10.0.0.1:80/', a),
    target('/', 'shop', 'http://10.0.0.2:80/', b),
    target('/', 'shop', 'http://10.0.0.4:80/', c),
  ]
  t.same(compareTables(fabio(0.3, 0.6, 0.1), { routes: [own('/', 'shop')], services: [shop] }).differences, [])
  t.match(compareTables(fabio(0.1, 0.6, 0.3), { routes: [own('/', 'shop')], services: [shop] }).differences, [
    { kind: 'shares', message: '10.0.0.1:80 10 % and 30 %, 10.0.0.4:80 30 % and 10 %' },
  ])
  const weights = { 1: 1, 2: 1, 3: 0 }
  const routes = [own('/', 'shop', { weights })]
  t.same(compareTables(fabio(1 / 6, 2 / 6, 0.5), { routes, services: [shop] }).differences, [])
})

t.test('many instances are counted, and nothing steers the terminal', async (t) => {
  const many = Array.from({ length: 9 }, (_, i) => target('/\u001b[2J', 'web', `http://10.0.1.${i}:80/`))
  const found = compareTables(many, { routes: [own('/\u001b[2J', 'web')], services: [web] })
  const text = comparisonText(found, { color: false, width: 80 })
  t.notMatch(text, /(?!\n)\p{Cc}/u)
  const plain = compareTables(
    Array.from({ length: 9 }, (_, i) => target('/', 'web', `http://10.0.1.${8 - i}:80/`)),
    { routes: [own('/', 'web')], services: [web] },
  )
  t.equal(
    comparisonText(plain, { color: false, width: 80 }),
    `*/
  only fabio sends to 10.0.1.0:80, 10.0.1.1:80, 10.0.1.2:80, 10.0.1.3:80, 10.0.1.4:80 and 4 others
  only this proxy sends to 10.0.0.1:80, 10.0.0.2:80

2 differences in 1 place
`,
  )
})

/** Runs the command against what answers `body` where fabio does, perhaps below a path. */
async function compareWith(t: Test, admin: string, body: string, below = '', ...more: readonly string[]) {
  const port = await backend(t, (req, res) => {
    res.statusCode = req.url === `${below}/api/routes` ? 200 : 404
    res.setHeader('Content-Type', 'application/json; charset=utf-8')
    res.end(body)
  })
  const command = fairlead(['compare', '--fabio', `http://127.0.0.1:${port}${below}/`, '--admin', admin, ...more])
  const code = await command.exit
  return { code, out: command.out(), err: command.err() }
}

t.test('the command against a proxy that runs on tags', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-compare-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const shared = { name: 'web', address: '127.0.0.1' }
  const tags = [
    'urlprefix-shop.test/api strip=/api',
    'urlprefix-/old redirect=301,https://new.test$path',
    'urlprefix-/w register=w',
  ]
  const services = [
    { ...shared, id: 'web-1', port: 9001, tags },
    { ...shared, id: 'web-2', port: 9002, tags },
  ]
  writeFileSync(join(folder, 'services.json'), JSON.stringify({ services }))
  const { app } = rigApp(t, configOf(`${quiet}catalog: { file: "${folder}/services.json" }\n`))
  await app.start()
  const admin = `127.0.0.1:${portOf(app.addresses().admin)}`

  const row = (host: string, path: string, dst: string, opts: string, weight = 0.5) => ({
    service: 'web',
    host,
    path,
    src: host + path,
    dst,
    opts,
    weight,
    tags: ['v1'],
    cmd: 'route add',
    rate1: 0,
    pct99: 0,
  })
  const same = [
    row('', '/old', 'https://new.test$path', 'redirect=301', 1),
    row('shop.test', '/api', 'http://127.0.0.1:9001/', 'strip=/api'),
    row('shop.test', '/api', 'http://127.0.0.1:9002/', 'strip=/api'),
  ]
  t.same(await compareWith(t, admin, JSON.stringify(same)), { code: 0, out: 'No differences in 2 places.\n', err: '' })
  const more = [...same, row('', '/w', 'http://127.0.0.1:9001/', '', 1)]
  t.same(await compareWith(t, admin, JSON.stringify(more)), {
    code: 1,
    out: '*/w\n  only fabio routes it, to web\n\n1 difference in 3 places\n',
    err: '',
  })
  const empty = await compareWith(t, admin, 'null', '/below', '--json')
  t.equal(empty.code, 1)
  t.match(JSON.parse(empty.out), {
    places: 2,
    differences: [
      { place: '/old', kind: 'only-here', message: /to a redirect/ },
      { place: 'shop.test/api', kind: 'only-here', message: /to web \(tag:web:urlprefix-shop\.test\/api\)$/ },
    ],
  })
  for (const body of ['{"routes":[]}', '[{"service":1}]', '<html>'])
    t.match(
      await compareWith(t, admin, body),
      { code: 1, out: '', err: /^fairlead: what answers at http:.*:\d+ does not have fabio's \/api\/routes/ },
      body,
    )
})

t.test('whoever does not answer is named', async (t) => {
  const run = async (...args: readonly string[]) => {
    const command = fairlead(['compare', ...args])
    return { code: await command.exit, err: command.err() }
  }
  t.match(await run('--fabio', 'http://127.0.0.1:1', '--admin', '127.0.0.1:1'), {
    code: 1,
    err: /^fairlead: no fabio answers at http:\/\/127\.0\.0\.1:1: nothing listens there; its admin address has port 9998/,
  })
  t.match(await compareWith(t, '127.0.0.1:1', '[]'), { code: 1, err: /^fairlead: no proxy answers at 127\.0\.0\.1:1/ })
  t.match(await run(), { code: 2, err: /required option '--fabio <url>' not specified/ })
  t.match(await run('--fabio', 'unix:/x'), { code: 2, err: /It is an address such as http:/ })
  t.match(await run('--fabio', 'ftp://x'), { code: 2, err: /Only http, https and unix are spoken/ })
})
