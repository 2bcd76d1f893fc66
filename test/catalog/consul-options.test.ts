import t from 'tap'
import { connectionFromEnv, withEnvironment } from '../../src/catalog/consul/options.ts'
import { parseTarget } from '../../src/catalog/consul/target.ts'

void t.test('the standard variables', (t) => {
  t.strictSame(connectionFromEnv({}), {})
  t.strictSame(connectionFromEnv({ CONSUL_HTTP_ADDR: '', CONSUL_HTTP_TOKEN: '' }), {}, 'empty is unset')
  t.strictSame(
    connectionFromEnv({
      CONSUL_HTTP_ADDR: 'consul:8501',
      CONSUL_HTTP_SSL: 'true',
      CONSUL_HTTP_TOKEN: 'abc',
      CONSUL_HTTP_TOKEN_FILE: '/t',
      CONSUL_HTTP_AUTH: 'u:p',
      CONSUL_DATACENTER: 'dc2',
      CONSUL_CACERT: '/ca',
      CONSUL_CLIENT_CERT: '/cert',
      CONSUL_CLIENT_KEY: '/key',
      CONSUL_TLS_SERVER_NAME: 'server.dc1.consul',
      CONSUL_HTTP_SSL_VERIFY: 'false',
    }),
    {
      address: 'https://consul:8501',
      token: 'abc',
      tokenFile: '/t',
      httpAuth: 'u:p',
      datacenter: 'dc2',
      tls: { ca: '/ca', cert: '/cert', key: '/key', serverName: 'server.dc1.consul', verify: false },
    },
  )
  const address = (env: Record<string, string>): unknown => connectionFromEnv(env).address
  t.equal(address({ CONSUL_HTTP_SSL: '1' }), 'https://127.0.0.1:8500')
  t.equal(address({ CONSUL_HTTP_SSL: '0', CONSUL_HTTP_ADDR: 'a:1' }), 'a:1')
  t.equal(address({ CONSUL_HTTP_SSL: 'true', CONSUL_HTTP_ADDR: 'unix:///x' }), 'unix:///x')
  t.equal(address({ CONSUL_HTTP_SSL: 'true', CONSUL_HTTP_ADDR: 'http://a:1' }), 'https://a:1')
  t.end()
})

void t.test('settings beat the environment', (t) => {
  const env = { CONSUL_HTTP_ADDR: 'a:1', CONSUL_HTTP_TOKEN_FILE: '/env', CONSUL_CACERT: '/env-ca' }
  t.match(withEnvironment({}, env), { address: 'a:1', tokenFile: '/env', tls: { ca: '/env-ca' } })
  const own = withEnvironment({ address: 'b:2', token: 'mine', tls: { verify: false }, stale: false }, env)
  t.match(own, { address: 'b:2', token: 'mine', stale: false, tls: { ca: '/env-ca', verify: false } })
  t.equal(own.tokenFile, undefined, 'a stray token file does not beat a token in the settings')
  t.end()
})

void t.test('addresses as people write them', (t) => {
  const cases: [string, object][] = [
    ['http://127.0.0.1:8500', { origin: 'http://127.0.0.1:8500', secure: false, prefix: '', socketPath: undefined }],
    ['consul:8500', { origin: 'http://consul:8500' }],
    ['[::1]:8500', { origin: 'http://[::1]:8500' }],
    ['https://consul:8501/', { origin: 'https://consul:8501', secure: true, prefix: '' }],
    ['https://gate/consul/', { origin: 'https://gate', prefix: '/consul', shown: 'https://gate/consul' }],
    ['unix:/run/c.sock', { socketPath: '/run/c.sock', shown: 'unix:/run/c.sock' }],
    ['unix:///run/c.sock', { socketPath: '/run/c.sock' }],
  ]
  for (const [text, target] of cases) t.match(parseTarget(text), target, text)
  for (const text of ['', 'ftp://x', 'http://', 'unix:relative', 'http://u:p@x', 'a b', 'http://x?y=1'])
    t.throws(() => parseTarget(text), { code: 'FL_CONFIG', message: /no Consul address/ }, text)
  t.end()
})
