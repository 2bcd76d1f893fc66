import t from 'tap'
import { substitute } from '../../src/config/substitute.ts'

const env = { ZONE: 'eu-1', EMPTY: '', ODD: 'a: [b, ${ZONE}]' }

void t.test('variables are put in, and nothing else is touched', (t) => {
  const cases: Readonly<Record<string, string>> = {
    plain: 'plain',
    '${ZONE}': 'eu-1',
    'a-${ZONE}-b-${ZONE}': 'a-eu-1-b-eu-1',
    '${NOPE:-other}': 'other',
    '${NOPE:-}': '',
    '${EMPTY}': '',
    '${EMPTY:-other}': 'other',
    '${ZONE:-other}': 'eu-1',
    '${NOPE:-http://a:1}': 'http://a:1',
    '$${ZONE}': '${ZONE}',
    '$ZONE $ {ZONE}': '$ZONE $ {ZONE}',
    '${ODD}': 'a: [b, ${ZONE}]',
  }
  for (const [text, wanted] of Object.entries(cases)) t.same(substitute(text, env), { text: wanted }, text)
  t.end()
})

void t.test('what cannot be put in is refused', (t) => {
  t.match(substitute('${NOPE}', env), { refused: /environment has no NOPE/ })
  for (const text of ['${}', '${ZONE', '${a b}', '${ZONE-x}', '${1A}', '${ZONE:?x}'])
    t.match(substitute(text, env), { refused: /expected \$\{NAME\}/ }, text)
  t.match(substitute('${toString}', env), { refused: /no toString/ })
  t.end()
})
