/**
 * The bytes that go over the wire in each exchange: one place, so that backends, load generators and the checking pass agree.
 */
import type { ExchangeName } from './options.ts'

function pattern(bytes: number): string {
  const line = 'A fairlead keeps a running line on course, whatever the sea does. '
  return line.repeat(Math.ceil(bytes / line.length)).slice(0, bytes)
}

/** 64 bytes. */
export const smallBody: string = pattern(64)
/** 100 kB, as 102,400 bytes. */
export const largeBody: string = pattern(102_400)
/** 4 kB, as 4,096 bytes. */
export const postBody: string = pattern(4_096)

export interface Exchange {
  readonly name: ExchangeName
  readonly title: string
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** Sent with POST; '' with GET. */
  readonly requestBody: string
  readonly answerBody: string
}

export const exchanges: Readonly<Record<ExchangeName, Exchange>> = {
  small: {
    name: 'small',
    title: '64-byte answers',
    method: 'GET',
    path: '/small',
    requestBody: '',
    answerBody: smallBody,
  },
  large: {
    name: 'large',
    title: '100 kB answers',
    method: 'GET',
    path: '/large',
    requestBody: '',
    answerBody: largeBody,
  },
  post: {
    name: 'post',
    title: '4 kB posts',
    method: 'POST',
    path: '/post',
    requestBody: postBody,
    answerBody: smallBody,
  },
}
