import fc from 'fast-check'
import t from 'tap'
import { type FieldId, field, fieldId, isUnderscoreTwin, mayTrail } from '../../src/wire/names.ts'

const named: Readonly<Record<string, FieldId>> = {
  host: field.host,
  'content-length': field.contentLength,
  'transfer-encoding': field.transferEncoding,
  connection: field.connection,
  'proxy-connection': field.hop,
  'proxy-authenticate': field.hop,
  'proxy-authorization': field.hop,
  'proxy-authentication-info': field.hop,
  trailer: field.hop,
  'http2-settings': field.hop,
  'keep-alive': field.keepAlive,
  te: field.te,
  upgrade: field.upgrade,
  expect: field.expect,
  via: field.via,
  forwarded: field.forwarded,
  'x-forwarded-for': field.forwardedFor,
  'x-forwarded-host': field.forwardedHost,
  'x-forwarded-proto': field.forwardedProto,
  'x-forwarded-port': field.forwardedPort,
  'x-real-ip': field.realIp,
  'x-rewrite-url': field.identity,
  'x-request-id': field.requestId,
  'max-forwards': field.maxForwards,
  date: field.date,
  'x-forwarded-prefix': field.identity,
  'x-forwarded-server': field.identity,
  'x-forwarded-tls-client-cert-info-and-more': field.identity,
  'x-original-url': field.identity,
  'x-original-a-name-that-is-longer-than-any': field.identity,
}

const others = [
  'hosts', 'hos', 'xhost', 'content-lengths', 'content-type', 'content_length', 't', 'tee', 'x', 'x-forwarded', 'forwarded-for',
  'x-forward-for', 'x-origin', 'accept', 'cookie', '__proto__', 'constructor', 'a-name-of-more-than-thirty-two-letters',
  'x-a-name-of-more-than-thirty-two-letters', 'dates', 'via2',
] // prettier-ignore

const id = (name: string): FieldId => fieldId(`--${name}: x`, 2, 2 + name.length)

t.test('each name has its id, in any case, wherever it stands', async (t) => {
  for (const [name, wanted] of Object.entries(named)) {
    t.equal(id(name), wanted, name)
    t.equal(id(name.toUpperCase()), wanted, name.toUpperCase())
  }
  for (const name of others) t.equal(id(name), field.other, name)
})

t.test('any mix of cases reads the same; a changed letter does not', async (t) => {
  const known = fc.constantFrom(...Object.keys(named))
  fc.assert(
    fc.property(known, fc.array(fc.boolean(), { minLength: 50, maxLength: 50 }), (name, upper) => {
      const mixed = Array.from(name, (char, index) => (upper[index] ? char.toUpperCase() : char)).join('')
      return id(mixed) === named[name]
    }),
  )
  fc.assert(
    fc.property(known, fc.nat({ max: 60 }), (name, place) => {
      const at = place % name.length
      if (named[name] === field.identity) return true
      return id(`${name.slice(0, at)}j${name.slice(at + 1)}`) !== named[name]
    }),
  )
  t.pass()
})

t.test('underscore twins of names the engine acts on', async (t) => {
  for (const name of [
    'content_length',
    'Transfer_Encoding',
    'X_FORWARDED_FOR',
    'x_real-ip',
    'x_forwarded_anything',
    'keep_alive',
  ])
    t.ok(isUnderscoreTwin(name), name)
  for (const name of ['content-length', 'x_y', '_', 'ho_st', 'my_content_length', ''])
    t.notOk(isUnderscoreTwin(name), name)
})

t.test('what may stand in a trailer section', async (t) => {
  for (const name of ['x-a', 'server-timing', 'etag', 'x-checksum', 'grpc-status', 'digest']) t.ok(mayTrail(name), name)
  for (const name of [
    ...Object.keys(named),
    'authorization',
    'cookie',
    'set-cookie',
    'content-type',
    'content-encoding',
    'content-anything',
    'cache-control',
    'age',
    'expires',
    'location',
    'retry-after',
    'vary',
    'range',
    'www-authenticate',
    'if-match',
    'if-range',
  ])
    // prettier-ignore
    t.notOk(mayTrail(name), name)
})
