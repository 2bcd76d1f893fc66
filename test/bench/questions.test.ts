/** What the questions make of figures: tables, doubts, and what cannot be asked. */
import t from 'tap'
import { renderMemory } from '../../bench/lib/ask-memory.ts'
import type { MemoryResult } from '../../bench/lib/ask-memory.ts'
import type { OpenLoopFigures } from '../../bench/lib/load.ts'
import { parseBenchOptions, questionNames } from '../../bench/lib/options.ts'
import { obstacle } from '../../bench/lib/question.ts'
import type { Section } from '../../bench/lib/question.ts'
import { renderJson, renderMarkdown } from '../../bench/lib/results.ts'
import type { Circumstances } from '../../bench/lib/results.ts'
import { renderAccept, type AcceptResult } from '../../bench/questions/accept.ts'
import { renderFairness, type FairnessResult } from '../../bench/questions/fairness.ts'
import { questions } from '../../bench/questions/index.ts'
import { latencyDoubts, renderLatency } from '../../bench/questions/latency.ts'
import type { LatencyResult } from '../../bench/questions/latency.ts'
import { renderSidecar } from '../../bench/questions/sidecar.ts'

function figures(ms: number, more: Partial<OpenLoopFigures> = {}): OpenLoopFigures {
  const percentiles = { p50Ms: ms, p99Ms: 2 * ms, p999Ms: 3 * ms, maxMs: 4 * ms }
  return { requests: 100, seconds: 1, ...percentiles, ownLatenessP99Ms: 0.1, errors: 0, ...more }
}

const latencyOf = (name: string, rate: number, ms: readonly number[]): LatencyResult => ({
  name,
  capacity: 2 * rate,
  rate,
  samples: ms.map((through) => ({ direct: figures(0.1), through: figures(through) })),
})

t.test('latency: what is added to the same load without a proxy', (t) => {
  const table = renderLatency([latencyOf('fairlead', 10_000, [0.3, 0.4, 0.6])])
  t.match(table, /\| fairlead \| +20,000 \| +10,000 \| +0\.300 \(0\.200–0\.500\) \| +0\.600 \(/)
  t.notMatch(table, /÷/)
  t.notMatch(renderLatency([latencyOf('fairlead', 9_000, [0.3]), latencyOf('haproxy', 10_000, [0.2])]), /÷/)
  const same = renderLatency([latencyOf('fairlead', 500, [0.3, 0.3, 0.3]), latencyOf('haproxy', 500, [0.2, 0.2, 0.2])])
  t.match(same, /added p50 ÷ haproxy/)
  t.match(same, /\| fairlead \|.*\| +2\.00 \|/, 'of what is added, not of what is seen')
  t.end()
})

t.test('latency: a generator that was late itself, and what failed on either side', (t) => {
  const { samples } = latencyOf('relay', 100, [0.3])
  const [{ direct, through } = { direct: figures(1), through: figures(1) }] = samples
  const of = (sample: LatencyResult['samples'][number]): readonly string[] =>
    latencyDoubts([{ name: 'relay', capacity: 200, rate: 100, samples: [sample] }])
  t.same(of({ direct, through }), [])
  t.match(of({ direct, through: { ...through, ownLatenessP99Ms: 7 } }), [
    /relay: the generator itself was 7\.0 ms late/,
  ])
  t.match(of({ direct: { ...direct, ownLatenessP99Ms: 7 }, through }), [/7\.0 ms late/])
  t.match(of({ direct: { ...direct, errors: 1 }, through: { ...through, errors: 2 } }), [/3 requests failed/])
  t.end()
})

t.test('accept: who waited, who was served, and who was not', (t) => {
  const busy = { requests: 9_000, seconds: 3, p50Ms: 1, p99Ms: 2, errors: 0 }
  const of = (name: string, p99s: readonly number[], errors = 0): AcceptResult => ({
    name,
    samples: p99s.map((p99Ms) => ({
      newcomers: { requests: 2_000 - errors, seconds: 2, p50Ms: p99Ms / 2, p99Ms, maxMs: p99Ms + 1, errors },
      busy,
    })),
  })
  const table = renderAccept('Title', [of('fairlead', [600, 660, 630]), of('haproxy', [300, 330, 300])])
  t.match(table, /p99 ÷ haproxy/)
  t.match(
    table,
    /\| fairlead \| +315 \(300–330\) \| +630 \(600–660\) \| +631 \(601–661\) \| +2\.00 \(2\.00–2\.10\) \| +1,000 \| +3,000 \| +0 \|/,
  )
  t.notMatch(table, /no answer/)
  t.match(renderAccept('Title', [of('nginx', [600], 7)]), /\| +7 \|\n\n- nginx: up to 7 of them had no answer in time/)
  t.end()
})

t.test('fairness: the small ones, alone and beside each kind of greed', (t) => {
  const greedy = { requests: 500, seconds: 2, p50Ms: 1, p99Ms: 2, errors: 0 }
  const of = (
    name: string,
    ms: readonly number[],
    more: Partial<OpenLoopFigures> = {},
    errors = 0,
  ): FairnessResult => ({
    name,
    samples: ms.map((each) => {
      const one = (times: number) => ({ small: figures(times * each, more), greedy: { ...greedy, errors } })
      const beside = { pipelining: one(1), connections: one(2), download: one(3), upload: one(4) }
      return { alone: figures(0.5), beside }
    }),
  })
  const results = [of('fairlead', [3, 3, 3.3]), of('haproxy', [2, 2, 2])]
  t.match(
    renderFairness('pipelining', results),
    /pipelines without end[^]*\| fairlead \| +0\.50 \| +1\.00 \| +3\.00 \(3\.00–3\.30\) \| +6\.00 \(6\.00–6\.60\) \| +1\.50 \(1\.50–1\.65\) \| +250 \| +0 \|/,
  )
  t.match(renderFairness('upload', results), /1 MB[^]*\| fairlead \| +0\.50 \| +1\.00 \| +12\.00 /)
  t.notMatch(renderFairness('upload', results), /\n- /)
  t.match(
    renderFairness('download', [of('relay', [1], { ownLatenessP99Ms: 9 }, 2)]),
    /- relay: the small ones’ generator itself was 9\.0 ms late[^]*\n- relay: the greedy one had 2 errors/,
  )
  t.end()
})

t.test('memory: the difference by the number of connections', (t) => {
  const of = (name: string, kilobytes: readonly number[], stillOpen = 1_000): MemoryResult => ({
    name,
    samples: kilobytes.map((each) => ({
      beforeBytes: 10_485_760,
      afterBytes: 10_485_760 + each * 1_000_000,
      opened: 1_000,
      stillOpen,
    })),
  })
  const table = renderMemory('Title', [of('fairlead', [4, 4, 5]), of('haproxy', [2, 2, 2.5])], ['A note.'])
  t.match(table, /^### Title\n/)
  t.match(table, /\| fairlead \| +4\.00 \(4\.00–5\.00\) \| +2\.00 \| +10\.0 \| +13\.8 \|/)
  t.match(table, /\n- A note\.$/)
  const closed = renderMemory('Title', [of('nginx', [1], 990)])
  t.match(closed, /- nginx: up to 10 had been closed before the look, so its figures are not comparable\.$/)
  t.end()
})

t.test('a sidecar is a row for each catalog', (t) => {
  const sample = { readyAfterMs: 300, residentBytes: 52_428_800, pssBytes: undefined, quietCpuMs: 12 }
  const later = { ...sample, readyAfterMs: 340 }
  const starts = new Map([
    ['file', [sample]],
    ['Consul', [later, later]],
  ])
  const table = renderSidecar(starts, 10)
  t.match(table, /CPU ms in 10 quiet s/)
  t.match(table, /\| file +\| +300 \| +50\.0 \| +– \| +12\.0 \|/)
  t.match(table, /\| Consul +\| +340 \|/)
  t.match(renderSidecar(starts, 10, ['Not with Consul: why.']), /\n- Not with Consul: why\.$/)
  t.end()
})

t.test('each question is one, and says what it needs', (t) => {
  const options = parseBenchOptions([])
  for (const name of questionNames) {
    t.match(questions[name].asks, /^[A-Z].*\?$/)
    t.match(questions[name].how, /\.$/)
  }
  t.equal(obstacle(questions.small, options, 10), undefined)
  t.equal(obstacle(questions.idle, options, 10_512), undefined)
  t.match(obstacle(questions.idle, options, 10_511), /needs 10512 open files .* 10511 are allowed/)
  t.match(obstacle(questions.websockets, options, 4_000), /needs 4512/)
  t.match(obstacle(questions.latency, options, 1_024), /needs \d+/)
  t.end()
})

t.test('results carry what they must be read with, and the date they are given', (t) => {
  const of: Circumstances = {
    date: '2001-02-03T04:05:06.000Z',
    machine: { cpu: 'Some CPU', cores: 4, kernel: 'Linux 6.1', node: 'v24.0.0' },
    cores: { proxy: 2, rest: 3, spare: 5 },
    revision: 'abc1234+',
    load: 'wrk',
    backend: 'nginx',
    versions: { fairlead: '0.1.0', caddy: '2.6.2' },
    options: parseBenchOptions([]),
  }
  const section: Section = { markdown: '### A table', figures: { n: 1 }, goals: [{ text: 'A goal', met: false }] }
  const answers = [{ name: 'small', question: questions.small, sections: [section] }] as const
  const text = renderMarkdown(of, answers)
  t.match(
    text,
    '2001-02-03T04:05:06.000Z. Some CPU, 4 cores, Linux 6.1, Node v24.0.0; proxy on core 2, rest on 3, load at',
  )
  t.match(text, "Contestants: fairlead 0.1.0, caddy 2.6.2. Fairlead's source: abc1234+.")
  t.match(text, `**small**: ${questions.small.asks}`)
  t.ok(text.endsWith('### A table\n\n- A goal: MISSED\n'))
  t.match(
    renderMarkdown({ ...of, cores: { proxy: undefined, rest: undefined, spare: undefined } }, []),
    /; not pinned\./,
  )
  t.match(JSON.parse(renderJson(of, answers)), {
    date: '2001-02-03T04:05:06.000Z',
    machine: of.machine,
    cores: of.cores,
    versions: of.versions,
    questions: [{ name: 'small', asks: questions.small.asks, figures: [{ n: 1 }] }],
    goals: [{ met: false }],
  })
  t.end()
})
