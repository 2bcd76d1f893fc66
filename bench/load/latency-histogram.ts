/**
 * Latencies in buckets that grow by 2 % each: any percentile to within 1 %, in constant memory.
 */
const firstBucketMs = 0.001
const growth = 1.02
const bucketCount = 1_020 // up to about 580 s

export class LatencyHistogram {
  readonly #counts = new Uint32Array(bucketCount)
  #total = 0
  #max = Number.NaN

  /** The largest latency recorded, exactly; NaN when none was. */
  get max(): number {
    return this.#max
  }

  record(ms: number): void {
    const index = Math.ceil(Math.log(ms / firstBucketMs) / Math.log(growth))
    const bucket = Math.min(Math.max(index, 0), bucketCount - 1)
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.#total++
    if (!(ms <= this.#max)) this.#max = ms
  }

  /** The latency in ms that `percent` of all are at or below; NaN when none was recorded. */
  percentile(percent: number): number {
    const wanted = Math.ceil((this.#total * percent) / 100)
    let seen = 0
    for (const [bucket, count] of this.#counts.entries()) {
      seen += count
      if (count > 0 && seen >= wanted) return firstBucketMs * growth ** (bucket - 0.5)
    }
    return Number.NaN
  }
}
