/** The options that say which running proxy a command talks to, and as whom. */
import { readFileSync } from 'node:fs'
import { InvalidArgumentError, Option } from 'commander'
import { parseAddress } from '../config/addresses.ts'
import type { Address } from '../config/config.ts'
import { Because } from '../config/declare.ts'
import { FairleadError } from '../core/errors.ts'
import { fileErrorText } from '../core/file-error.ts'

const standard: Address = { kind: 'tcp', host: '127.0.0.1', port: 8082 }

/** `--admin`, else `FAIRLEAD_ADMIN`, else 127.0.0.1:8082; as an {@link Address}. */
export function adminOption(): Option {
  return new Option('-a, --admin <address>', 'admin address of the proxy, host:port or unix:/path')
    .env('FAIRLEAD_ADMIN')
    .argParser(parse)
    .default(standard, '127.0.0.1:8082')
}

function parse(text: string): Address {
  // An empty variable is an unset one.
  if (text === '') return standard
  if (/^\d+$/.test(text)) throw new InvalidArgumentError(`Write 127.0.0.1:${text}.`)
  if (/^https:\/\//i.test(text)) throw new InvalidArgumentError('It speaks plain HTTP: leave out https://.')
  const parsed = parseAddress(text.replace(/^http:\/\/([^/]+)\/?$/i, '$1'))
  if (/^http:\/\//i.test(text) && parsed instanceof Because)
    throw new InvalidArgumentError('An admin address is host:port or unix:/path, with no path behind the port.')
  if (parsed instanceof Because) throw new InvalidArgumentError(`${parsed.reason}.`)
  return parsed
}

/** `--token-file`, else `FAIRLEAD_TOKEN_FILE`: see {@link readToken}. */
export function tokenOption(): Option {
  return new Option(
    '--token-file <file>',
    'file with the token for the proxy; FAIRLEAD_TOKEN holds the token itself',
  ).env('FAIRLEAD_TOKEN_FILE')
}

/** The token in `file`, else in `FAIRLEAD_TOKEN`; undefined: there is none. Rejects with FL_ADMIN, never with the token. */
export function readToken(file: string | undefined): string | undefined {
  let token = process.env['FAIRLEAD_TOKEN']
  if (file !== undefined) {
    try {
      token = readFileSync(file, 'utf8')
    } catch (error) {
      throw new FairleadError('FL_ADMIN', `the token file cannot be read: ${fileErrorText(error, file)}`, {
        cause: error,
      })
    }
  }
  token = token?.trim()
  if (token === undefined || (token === '' && file === undefined)) return undefined
  if (/^[\x21-\x7e]{1,4096}$/.test(token)) return token
  throw new FairleadError('FL_ADMIN', 'the token is empty, or has characters that no header can carry')
}
