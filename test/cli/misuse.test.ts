/** What is said of a command line, or a file, that cannot be used; and what the program is called. */
import t from 'tap'
import { commandName } from '../../src/cli/command-name.ts'
import { misuseText } from '../../src/cli/misuse.ts'
import { fileErrorText } from '../../src/core/file-error.ts'
import { escapeText } from '../../src/telemetry/escape.ts'
import { fairlead } from '../fixtures/command.ts'

t.test('arguments and options, in our words', async (t) => {
  for (const [args, said] of [
    [
      ['split', 'web', '2'],
      '"2" cannot be used as version=weight. A version and its weight are written like 9.8.0=10;',
    ],
    [['history', '--limit', 'x'], '"x" cannot be used with -n, --limit <n>. It is a whole number'],
    [['kills', '-a', 'x'], '"x" cannot be used with -a, --admin <address>. A port is missing.'],
    [['why'], "missing required argument 'request-id'"],
    [['statsu'], "unknown command 'statsu'\n(Did you mean status?)"],
  ] as const) {
    const command = fairlead(args)
    t.equal(await command.exit, 2)
    t.ok(command.err().startsWith(`fairlead: ${said}`), command.err())
    t.match(command.err(), '\n(fairlead --help tells more)\n')
  }
  t.equal(misuseText("error: unknown command 'a\u001b'\n"), "fairlead: unknown command 'a\\u001b'\n")
  t.equal(misuseText('help\n'), 'help\n')
})

t.test('files that cannot be read', async (t) => {
  const error = (code: string): Error => Object.assign(new Error('raw'), { code })
  t.equal(fileErrorText(error('ENOENT'), 'a.yaml'), 'there is no file a.yaml')
  t.equal(fileErrorText(error('EISDIR'), 'a'), 'a is a folder')
  t.equal(fileErrorText(error('EACCES'), 'a'), 'this user may not read a')
  t.equal(fileErrorText(error('EIO'), 'a'), 'raw')
  const absent = fairlead(['kills', '--token-file', '/nowhere/x'])
  t.equal(await absent.exit, 1)
  t.equal(absent.err(), 'fairlead: the token file cannot be read: there is no file /nowhere/x\n')
})

t.test('quotes stay as they are for people, and nothing steers a terminal', async (t) => {
  t.equal(escapeText('a "b" \\ \u001b[2J\u202e'), 'a "b" \\ \\u001b[2J\\u202e')
  t.equal(escapeText('abc', 2), 'ab\u2026')
})

t.test('the program by the name that its reader started it by', async (t) => {
  t.equal(commandName({ npm_lifecycle_event: 'npx', npm_lifecycle_script: "'fairlead'" }), 'npx fairlead')
  t.equal(commandName({ npm_lifecycle_event: 'npx', npm_lifecycle_script: "'tap' x" }), 'fairlead')
  t.equal(commandName({}), 'fairlead')
})
