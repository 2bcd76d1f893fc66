/** The option that says which running proxy a command talks to. It opens nothing. */
import { InvalidArgumentError, Option } from 'commander'
import { parseAddress } from '../config/addresses.ts'
import type { Address } from '../config/config.ts'
import { Because } from '../config/declare.ts'

const standard: Address = { kind: 'tcp', host: '127.0.0.1', port: 8082 }

/** `--admin`, else `FAIRLEAD_ADMIN`, else 127.0.0.1:8082; as an {@link Address}. */
export function adminOption(): Option {
  return new Option('-a, --admin <address>', 'admin address of the proxy, host:port or unix:/path')
    .env('FAIRLEAD_ADMIN')
    .argParser(parse)
    .default(standard, '127.0.0.1:8082')
}

function parse(text: string): Address {
  const parsed = parseAddress(text)
  if (parsed instanceof Because) throw new InvalidArgumentError(`${parsed.reason}.`)
  return parsed
}
