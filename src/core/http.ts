/**
 * What is used of node:http, taken without its ES module: to make that one, Node reads every name the module exports, and
 * with them loads HTTP/2, worker threads and a second undici, 12 MB that nobody here asks for.
 * Types are imported from node:http as usual; they cost nothing.
 */
import type * as Http from 'node:http'

const http: typeof Http = process.getBuiltinModule('node:http')

export const createServer: typeof Http.createServer = http.createServer.bind(http)
export const get: typeof Http.get = http.get.bind(http)
export const STATUS_CODES: typeof Http.STATUS_CODES = http.STATUS_CODES
