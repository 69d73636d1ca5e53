import { createHash } from 'node:crypto'
import { Malformed } from './malformed.ts'

/** `sha256:…` of whole content. */
export const digestOf = (content: Uint8Array | string): string => `sha256:${createHash('sha256').update(content).digest('hex')}`

/** The hexadecimal part, a file name. */
export const hexOf = (digest: string): string => digest.slice(digest.indexOf(':') + 1)

/** Passes bytes on; at the end throws Malformed unless they have this digest and length. */
export async function* verified(
  source: AsyncIterable<Uint8Array>,
  expected: { digest: string; size?: number },
  what: string,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of source) {
    size += chunk.length
    if (expected.size !== undefined && size > expected.size) throw new Malformed(`${what}: longer than its ${expected.size} bytes`)
    hash.update(chunk)
    yield chunk
  }
  const actual = `sha256:${hash.digest('hex')}`
  if (actual !== expected.digest) throw new Malformed(`${what}: digest is ${actual}, not ${expected.digest}`)
}
