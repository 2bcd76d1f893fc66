/**
 * The token that goes with each request: a fixed one, or a file that is read again whenever it changed.
 * It never logs a token and never puts one into an error.
 */
import { readFile, stat } from 'node:fs/promises'
import { FairleadError } from '../../core/errors.ts'
import { fileErrorText } from '../../core/file-error.ts'

export class TokenSource {
  readonly #fixed: string | undefined
  readonly #file: string | undefined
  #mark = ''
  #token = ''

  constructor(fixed: string | undefined, file: string | undefined) {
    this.#fixed = fixed
    this.#file = file
  }

  /**
   * The token now; undefined: none is set. Throws `FL_CATALOG_DENIED` when the file cannot be read or is empty.
   * `refused` says that this token was just refused: the file is read again even if it looks unchanged.
   */
  async current(refused = false): Promise<string | undefined> {
    if (this.#file === undefined) return this.#fixed
    try {
      const info = await stat(this.#file)
      const mark = `${String(info.ino)} ${String(info.mtimeMs)} ${String(info.size)}`
      if (refused || mark !== this.#mark) {
        this.#token = (await readFile(this.#file, 'utf8')).trim()
        this.#mark = mark
      }
    } catch (error) {
      throw new FairleadError(
        'FL_CATALOG_DENIED',
        `the token file cannot be read: ${fileErrorText(error, this.#file)}`,
        {
          cause: error,
        },
      )
    }
    if (this.#token === '') throw new FairleadError('FL_CATALOG_DENIED', `the token file ${this.#file} is empty`)
    return this.#token
  }
}
