/**
 * Whether what runs is what the configuration file says: what of it was refused last, and what of it only a new start brings.
 * It keeps that and tells it as problems; it reads and applies nothing.
 */
import { type ConfigError, formatConfigError } from '../config/config-error.ts'
import type { Problem } from '../core/problem.ts'

/** Mistakes that are told one by one. */
const toldMax = 5

export class ConfigStanding {
  #refusal: Problem | undefined
  #restart: readonly Problem[] = []

  /** The last configuration that was read is in force. */
  get isInForce(): boolean {
    return this.#refusal === undefined
  }

  inForce(): void {
    this.#refusal = undefined
  }

  /** It says what cannot be meant; there is at least one. */
  refused(errors: readonly ConfigError[]): void {
    const told = errors.slice(0, toldMax).map(formatConfigError).join('; ')
    const more = errors.length > toldMax ? `; and ${errors.length - toldMax} more` : ''
    this.#refuse(errors[0]?.file ?? 'configuration', `is refused: ${told}${more}`)
  }

  /** It is valid, and yet cannot be applied here and now. */
  failed(reason: string): void {
    this.#refuse('configuration', `cannot be applied: ${reason}`)
  }

  /** What of the configuration in force waits for a new start: a setting, and what that is instead until then. */
  restartFor(settings: readonly { readonly setting: string; readonly message: string }[]): void {
    this.#restart = settings.map(({ setting, message }) =>
      Object.freeze({ code: 'restart-needed', where: `configuration ${setting}`, message }),
    )
  }

  problems(): readonly Problem[] {
    return this.#refusal ? [this.#refusal, ...this.#restart] : this.#restart
  }

  #refuse(where: string, what: string): void {
    this.#refusal = Object.freeze({
      code: 'config-refused',
      where,
      message: `the configuration that was read last ${what}. The one before it stays in force, until the next start`,
    })
  }
}
