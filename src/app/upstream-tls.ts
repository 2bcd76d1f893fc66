/**
 * The certificates and keys that TLS towards instances needs: read from the files that the configuration names, before it
 * is in force, and again whenever they change. What cannot be used then leaves the last good ones in force, as a problem.
 * It connects to nobody.
 */
import { open } from 'node:fs/promises'
import { watchFile, type FileWatch } from '../config/watch-file.ts'
import type { Config } from '../config/config.ts'
import type { Clock } from '../core/clock.ts'
import { errorText, FairleadError } from '../core/errors.ts'
import { fileErrorText } from '../core/file-error.ts'
import type { Logger } from '../core/log.ts'
import { pemBytesMax, pemFault, type PemUse } from '../core/pem.ts'
import type { Problem } from '../core/problem.ts'
import { policyFromConfig } from '../policy/from-config.ts'
import type { Policy, ServicePolicy, TlsFiles } from '../policy/policy.ts'
import { systemTlsIdentity, TlsIdentity } from '../wire/tls.ts'

export interface UpstreamTls {
  /** Reads what `config` names, for {@link equip}. Rejects with FL_CONFIG, naming the file that cannot be used. */
  load(config: Config): Promise<void>
  /** `config` is in force: its files are watched from now on, and no others. */
  use(config: Config): void
  /** `policy` with the identities of its files, which must have been loaded. */
  equip(policy: Policy): Policy
  problems(): readonly Problem[]
  stop(): void
}

export interface UpstreamTlsDeps {
  readonly clock: Clock
  readonly log: Logger
  /** Another content is there: policies that were equipped before are to be equipped anew. */
  readonly onChange: () => void
}

export function createUpstreamTls(deps: UpstreamTlsDeps): UpstreamTls {
  return new Identities(deps)
}

interface Held {
  readonly files: TlsFiles
  identity: TlsIdentity
  /** Why what is in the files now is not used; undefined: it is. */
  problem: string | undefined
}

class Identities implements UpstreamTls {
  readonly #deps: UpstreamTlsDeps
  /** By the files' paths. */
  readonly #held = new Map<string, Held>()
  readonly #watches = new Map<string, FileWatch>()
  #work: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(deps: UpstreamTlsDeps) {
    this.#deps = deps
  }

  async load(config: Config): Promise<void> {
    for (const [key, files] of wantedFiles(config)) {
      const identity = await readIdentity(files)
      this.#held.set(key, { files, identity, problem: undefined })
    }
    // Read now, and not when the first request waits for it.
    if (policiesOf(policyFromConfig(config)).some(({ tls }) => tls !== undefined && tls !== 'off' && !tls.files?.ca))
      systemTlsIdentity()
  }

  use(config: Config): void {
    const wanted = wantedFiles(config)
    for (const key of this.#held.keys()) if (!wanted.has(key)) this.#held.delete(key)
    const paths = new Set([...wanted.values()].flatMap(pathsOf))
    for (const [path, watch] of this.#watches)
      if (!paths.has(path)) {
        watch.close()
        this.#watches.delete(path)
      }
    if (this.#stopped) return
    for (const path of paths) if (!this.#watches.has(path)) this.#watches.set(path, this.#watch(path))
  }

  equip(policy: Policy): Policy {
    const services = new Map([...policy.services].map(([name, service]) => [name, this.#equip(service)]))
    return Object.freeze({ ...policy, services, defaults: this.#equip(policy.defaults) })
  }

  problems(): readonly Problem[] {
    return [...this.#held.values()].flatMap(({ files, problem }) =>
      problem === undefined
        ? []
        : { code: 'upstream-tls', where: pathsOf(files).join(', '), message: `${problem}; the last good ones stay` },
    )
  }

  stop(): void {
    this.#stopped = true
    for (const watch of this.#watches.values()) watch.close()
    this.#watches.clear()
  }

  #equip(service: ServicePolicy): ServicePolicy {
    const { tls } = service
    if (tls === undefined || tls === 'off' || tls.files === undefined) return service
    const held = this.#held.get(keyOf(tls.files))
    // Anything else would trust whom nobody meant.
    if (!held) throw new Error(`the TLS files ${pathsOf(tls.files).join(', ')} were not loaded`)
    return Object.freeze({ ...service, tls: Object.freeze({ ...tls, identity: held.identity }) })
  }

  #watch(path: string): FileWatch {
    const { clock, log } = this.#deps
    const look = (): void => void (this.#work = this.#work.then(() => this.#changed(path)))
    return watchFile(path, { clock, log }, look, { bytesMax: pemBytesMax, onUnreadable: look })
  }

  /** Also called when it is first read, which then changes nothing. */
  async #changed(path: string): Promise<void> {
    let changed = false
    for (const held of this.#held.values()) {
      if (!pathsOf(held.files).includes(path)) continue
      const before = held.problem
      try {
        const identity = await readIdentity(held.files)
        held.problem = undefined
        if (identity.digest === held.identity.digest) continue
        held.identity = identity
        changed = true
        this.#deps.log.info({ file: path }, 'the certificates for TLS to instances changed and are in force')
      } catch (error) {
        // A certificate and its key are two files: between their changes they do not fit.
        held.problem = errorText(error)
        if (held.problem !== before)
          this.#deps.log.error({ file: path, error: held.problem }, `${held.problem}; the last good ones stay`)
      }
    }
    if (changed && !this.#stopped) this.#deps.onChange()
  }
}

const policiesOf = (policy: Policy): readonly ServicePolicy[] => [policy.defaults, ...policy.services.values()]

const pathsOf = ({ ca, cert, key }: TlsFiles): string[] => [ca, cert, key].filter((path) => path !== undefined)

const keyOf = ({ ca, cert, key }: TlsFiles): string => JSON.stringify([ca, cert, key])

function wantedFiles(config: Config): ReadonlyMap<string, TlsFiles> {
  const wanted = new Map<string, TlsFiles>()
  for (const { tls } of policiesOf(policyFromConfig(config)))
    if (tls !== undefined && tls !== 'off' && tls.files) wanted.set(keyOf(tls.files), tls.files)
  return wanted
}

async function readIdentity(files: TlsFiles): Promise<TlsIdentity> {
  const [ca, cert, key] = await Promise.all((['ca', 'cert', 'key'] as const).map((use) => readPem(files[use], use)))
  try {
    return new TlsIdentity({ ca, cert, key })
  } catch (error) {
    const paths = pathsOf(files).join(', ')
    throw new FairleadError('FL_CONFIG', `TLS to instances cannot use ${paths}: ${errorText(error)}`, { cause: error })
  }
}

async function readPem(path: string | undefined, use: PemUse): Promise<string | undefined> {
  if (path === undefined) return undefined
  try {
    const file = await open(path)
    try {
      const { size } = await file.stat()
      if (size > pemBytesMax) throw new Error(`it has more than ${pemBytesMax} bytes`)
      const text = await file.readFile('utf8')
      const fault = pemFault(text, use)
      if (fault !== undefined) throw new Error(fault)
      return text
    } finally {
      await file.close()
    }
  } catch (error) {
    throw new FairleadError(
      'FL_CONFIG',
      `TLS to instances cannot use ${path} as tls.${use}: ${fileErrorText(error, path)}`,
      {
        cause: error,
      },
    )
  }
}
