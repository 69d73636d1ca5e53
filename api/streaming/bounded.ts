// Answers of servers that others run: no more of one is held than it may have.

import type { IncomingMessage } from 'node:http'

/** Throws where it is larger than `most` bytes; the rest is not read. */
export async function readWithin(answer: IncomingMessage, most: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > most) throw new Error(`the answer is larger than ${most} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
