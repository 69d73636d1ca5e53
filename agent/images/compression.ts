// Plain, gzip or zstd, told apart by their first bytes whatever the media type claims.

import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { codeOf, Malformed } from './malformed.ts'

const gzip = Buffer.from([0x1f, 0x8b])
const zstd = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])

/**
 * The decompressed bytes. The source is always read to its end, even if the consumer or the compressed
 * stream ends before, so that a digest taken over it is complete. Throws Malformed for broken compression.
 */
export async function* decompress(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const chunks = source[Symbol.asyncIterator]()
  const head: Uint8Array[] = []
  let length = 0
  while (length < zstd.length) {
    const { value, done } = await chunks.next()
    if (done) break
    head.push(value)
    length += value.length
  }
  const start = Buffer.concat(head)
  const whole = resume(start, chunks)
  const transform = start.subarray(0, 2).equals(gzip)
    ? createGunzip()
    : start.subarray(0, 4).equals(zstd)
      ? createZstdDecompress()
      : undefined
  if (!transform) {
    yield* whole
    return
  }
  const flow = pipeline(Readable.from(whole, { objectMode: false, highWaterMark: 1 << 18 }), transform)
  flow.catch(() => {})
  try {
    yield* transform as AsyncIterable<Buffer>
    await flow
  } catch (error) {
    throw /^(Z_|ZSTD_|ERR_ZLIB|ERR_ZSTD)/.test(codeOf(error)) ? new Malformed('broken compressed data', { cause: error }) : error
  }
  for (;;) if ((await chunks.next()).done) return
}

async function* resume(start: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    if (start.length > 0) yield start
    for (;;) {
      const { value, done } = await rest.next()
      if (done) return
      yield value
    }
  } finally {
    await rest.return?.()
  }
}
