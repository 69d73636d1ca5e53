// `coracle decode FILE`: a debugging aid for what is on the wire between clients and the API server.

import { readFile } from 'node:fs/promises'
import { decodeProtobuf } from '#api/schema/protobuf.ts'

export async function decodeFile(file: string): Promise<void> {
  const bytes = await readFile(file)
  try {
    console.log(JSON.stringify(decodeProtobuf(bytes), null, 2))
  } catch (cause) {
    throw new Error(`${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}
