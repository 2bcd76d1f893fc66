import fc from 'fast-check'
import t from 'tap'
import { formatDuration, formatShare, formatSize, parseDuration, parseShare, parseSize } from '../../src/core/units.ts'

void t.test('durations, sizes and shares are read as written', (t) => {
  const cases: readonly (readonly [number | undefined, number | undefined])[] = [
    [parseDuration('500ms'), 500],
    [parseDuration('2s'), 2_000],
    [parseDuration('1m30s'), 90_000],
    [parseDuration('1.5h'), 5_400_000],
    [parseDuration('0'), 0],
    [parseDuration('10'), undefined],
    [parseDuration(''), undefined],
    [parseDuration('-1s'), undefined],
    [parseDuration('1 s'), undefined],
    [parseDuration('1e3s'), undefined],
    [parseDuration('9999999999999999d'), undefined],
    [parseSize('64KiB'), 65_536],
    [parseSize('1.5MiB'), 1_572_864],
    [parseSize('10MB'), 10_000_000],
    [parseSize('512B'), 512],
    [parseSize('64'), undefined],
    [parseSize('64k'), undefined],
    [parseShare('20%'), 0.2],
    [parseShare('0%'), 0],
    [parseShare('100%'), 1],
    [parseShare('101%'), undefined],
    [parseShare('0.2'), undefined],
  ]
  for (const [found, wanted] of cases) t.equal(found, wanted)
  t.end()
})

void t.test('what is formatted reads back to the same', (t) => {
  const whole = fc.oneof(fc.nat(), fc.integer({ min: 0, max: 2 ** 45 }))
  fc.assert(fc.property(whole, (ms) => parseDuration(formatDuration(ms)) === ms))
  fc.assert(fc.property(whole, (bytes) => parseSize(formatSize(bytes)) === bytes))
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10_000 }), (n) => {
      const share = n / 10_000
      return Math.abs((parseShare(formatShare(share)) ?? NaN) - share) < 1e-12
    }),
  )
  t.equal(formatDuration(90_000), '1m30s')
  t.equal(formatSize(65_536), '64KiB')
  t.equal(formatSize(1_000), '1kB')
  t.equal(formatShare(0.2), '20%')
  t.end()
})
