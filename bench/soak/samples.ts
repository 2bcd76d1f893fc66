/** What the proxy holds, look by look: from /proc and from its own /metrics. It judges nothing. */
import { metricIn, type Proxy } from '../../test/faults/lib/proxy.ts'

export interface Sample {
  /** Since the beginning of the soak. */
  readonly atMs: number
  readonly residentBytes: number
  readonly heapUsedBytes: number
  readonly externalBytes: number
  readonly descriptors: number
  /** Timers of Node's, which the proxy's many share. */
  readonly timers: number
  readonly clientConnections: number
  readonly upstreamConnections: number
  /** How late the proxy's event loop was at the most, since the sample before. */
  readonly loopLagMs: number
  readonly droppedLines: number
  readonly tableVersion: number
  /** Requests that the clients had answered by then. */
  readonly requests: number
}

/** Answer of `GET path` at the admin address, over a connection that is kept. Rejects unless 200, or after a minute. */
export async function readPage(proxy: Proxy, path: string): Promise<string> {
  const url = `http://127.0.0.1:${proxy.adminPort}${path}`
  const answer = await fetch(url, { signal: AbortSignal.timeout(60_000) })
  const text = await answer.text()
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${text.slice(0, 200)}`)
  return text
}

export async function takeSample(proxy: Proxy, atMs: number, requests: number): Promise<Sample> {
  const text = await readPage(proxy, '/metrics')
  const read = (name: string, labels = ''): number => metricIn(text, name, labels) ?? 0
  return {
    atMs,
    residentBytes: proxy.residentBytes(),
    heapUsedBytes: read('nodejs_heap_size_used_bytes'),
    externalBytes: read('nodejs_external_memory_bytes'),
    descriptors: proxy.descriptors(),
    timers: read('nodejs_active_resources', 'type="Timeout"'),
    clientConnections: read('fairlead_connections', 'side="downstream"'),
    upstreamConnections: read('fairlead_connections', 'side="upstream"'),
    loopLagMs: read('fairlead_event_loop_lag_seconds', 'at="max"') * 1_000,
    droppedLines: read('fairlead_access_log_dropped_total'),
    tableVersion: read('fairlead_table_version'),
    requests,
  }
}
