/** TERM and INT for the process that they are meant for. */
import { lastWordsMs, type Output } from './output.ts'

/**
 * The first TERM or INT stops gently; a second one ends the process as the shell would have it, after `kill`, which ends what
 * would outlive it.
 */
export function onSignals(stop: () => void, { log, writer }: Output, kill: () => void = () => {}): void {
  let asked = false
  for (const [signal, number] of [
    ['SIGTERM', 15],
    ['SIGINT', 2],
  ] as const) {
    process.on(signal, () => {
      if (asked) {
        log.warn({ signal }, 'a second signal: ending at once')
        kill()
        void writer.flush(lastWordsMs).then(() => process.exit(128 + number))
        return
      }
      asked = true
      log.info({ signal }, `${signal}: stopping`)
      stop()
    })
  }
}
