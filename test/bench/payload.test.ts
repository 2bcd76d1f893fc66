import t from 'tap'
import { largeBody, postBody, exchanges, smallBody } from '../../bench/lib/payload.ts'
import { LatencyHistogram } from '../../bench/load/latency-histogram.ts'

t.test('the questions are as large as their names say', (t) => {
  t.equal(Buffer.byteLength(smallBody), 64)
  t.equal(Buffer.byteLength(largeBody), 102_400)
  t.equal(Buffer.byteLength(postBody), 4_096)
  t.equal(exchanges.post.requestBody, postBody)
  t.notMatch(smallBody, /["\\$;{}]/, 'stands between quotes in a configuration')
  t.end()
})

t.test('percentiles are within a bucket of the truth', (t) => {
  const histogram = new LatencyHistogram()
  for (let i = 1; i <= 1_000; i++) histogram.record(i / 10)
  t.ok(Math.abs(histogram.percentile(50) - 50) < 1, String(histogram.percentile(50)))
  t.ok(Math.abs(histogram.percentile(99) - 99) < 2, String(histogram.percentile(99)))
  histogram.record(0)
  histogram.record(1e9)
  t.ok(histogram.percentile(100) > 100_000)
  t.ok(Number.isNaN(new LatencyHistogram().percentile(50)))
  t.end()
})
