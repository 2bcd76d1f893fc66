/**
 * `fairlead health`: asks a running proxy whether it is alive, for a container's HEALTHCHECK where there is no shell and
 * no curl. Exit codes: 0 it answers, 1 it does not.
 */
import { get } from '../core/http.ts'
import type { Command } from 'commander'
import { reasonOf } from './exchange.ts'
import { safe } from './table-text.ts'

const timeoutMs = 2_000
/** Of an answer; ours are shorter by far, but who answers there is not known. */
const answerCharsMax = 65_536
const elsewhere = '--status or FAIRLEAD_STATUS names another address'

/** Line by line, so that what others wrote into it cannot steer a terminal. */
const shown = (body: string): string =>
  body
    .slice(0, answerCharsMax)
    .split('\n')
    .map((line) => safe(line, answerCharsMax))
    .join('\n')

export function addHealthCommand(program: Command): void {
  program
    .command('health')
    .description('ask a running proxy on this machine whether it is alive (or ready)')
    .option(
      '-s, --status <address>',
      'its status address, host:port or unix:/path (also FAIRLEAD_STATUS)',
      process.env['FAIRLEAD_STATUS'] ?? '127.0.0.1:8081',
    )
    .option('--ready', 'ask whether it is ready instead')
    .action(async (options: { readonly status: string; readonly ready?: boolean }) => {
      try {
        const { status, body } = await ask(options.status, options.ready ? '/readyz' : '/livez')
        process.stdout.write(shown(body))
        if (status !== 200) process.exitCode = 1
      } catch (error) {
        process.stderr.write(
          `fairlead health: ${safe(options.status)} does not answer: ${reasonOf(error, elsewhere)}\n`,
        )
        process.exitCode = 1
      }
    })
}

function ask(address: string, path: string): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeoutMs)
    const where = address.startsWith('unix:') ? { socketPath: address.slice(5) } : hostAndPort(address)
    get({ ...where, path, agent: false, signal }, (res) => {
      let body = ''
      res.setEncoding('utf8')
      res.on('data', (text: string) => (body += text))
      res.on('end', () => resolve({ status: res.statusCode ?? 0, body }))
      res.on('error', reject)
    }).on('error', reject)
  })
}

function hostAndPort(address: string): { readonly host: string; readonly port: string } {
  const { hostname, port } = new URL(`http://${address}`)
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port || '80' }
}
