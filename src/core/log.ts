/**
 * The logger as a port: pino's shape, so that modules log without importing pino and tests can collect lines.
 * Lines are for people: `message` is a plain sentence, `fields` carries what a machine would filter by.
 */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} }
