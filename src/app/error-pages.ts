/** Reads the files that stand in for the bodies of the proxy's own answers. */
import { readFile, stat } from 'node:fs/promises'
import { extname } from 'node:path'
import { FairleadError } from '../core/errors.ts'
import { fileErrorText } from '../core/file-error.ts'
import type { ErrorPage } from '../proxy/answers.ts'

/** A page is held in memory and sent whole. */
const pageBytesMax = 1_048_576

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.htm': 'text/html; charset=utf-8',
  '.json': 'application/json',
  '.xml': 'application/xml',
}

/** By status. Rejects with FL_CONFIG naming the file that cannot be used. */
export async function readErrorPages(paths: ReadonlyMap<number, string>): Promise<ReadonlyMap<number, ErrorPage>> {
  const pages = new Map<number, ErrorPage>()
  for (const [status, path] of paths) {
    try {
      const { size } = await stat(path)
      if (size > pageBytesMax) throw new Error(`it has ${size} bytes, more than ${pageBytesMax}`)
      const contentType = types[extname(path).toLowerCase()] ?? 'text/plain; charset=utf-8'
      pages.set(status, { body: await readFile(path), contentType })
    } catch (error) {
      throw new FairleadError(
        'FL_CONFIG',
        `The error page for ${status}, ${path}, cannot be used: ${fileErrorText(error, path)}`,
        {
          cause: error,
        },
      )
    }
  }
  return pages
}
