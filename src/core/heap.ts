/** What a process asks of its heap while it runs; with which options it is started, the image and `npm start` say. */
import { setFlagsFromString } from 'node:v8'

/**
 * From now on a full collection comes once the heap has doubled since the one before. By itself V8 judges by how busy the program
 * is: in one that rests, every change of a large catalog ends in a collection, which takes ten times what the change does.
 */
export function collectMoreSeldom(): void {
  setFlagsFromString('--heap-growing-percent=100')
}
