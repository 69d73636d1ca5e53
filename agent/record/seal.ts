// Bytes that only this node can read, and that tell when they are not what was written: AES-256-GCM under a
// key of the node. Who has the whole disk has the key too; who has a copy of the record alone has nothing.

import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { writeDurably } from '../durable.ts'

const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** Of the form: another one gets another. */
const MAGIC = Buffer.from('coracle1')
const HEAD_BYTES = MAGIC.length + NONCE_BYTES + TAG_BYTES

export interface Seal {
  /** `name`: where it is kept. What is sealed for one name opens under no other. */
  seal(name: string, text: string): Buffer
  /** Throws where the bytes are not whole, not this node's or not of this name. */
  open(name: string, bytes: Buffer): string
}

/** With the key in `file`, or a new one where there is none that is whole. */
export async function openSeal(file: string): Promise<Seal> {
  const kept = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  if (kept?.length === KEY_BYTES) return sealWith(kept)
  const key = randomBytes(KEY_BYTES)
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  await writeDurably(file, key, `${file}.new`)
  return sealWith(key)
}

const sealWith = (key: Buffer): Seal => ({
  seal(name, text) {
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(about(name))
    const body = Buffer.concat([cipher.update(deflateRawSync(text)), cipher.final()])
    return Buffer.concat([MAGIC, nonce, cipher.getAuthTag(), body])
  },
  open(name, bytes) {
    if (bytes.length < HEAD_BYTES || !bytes.subarray(0, MAGIC.length).equals(MAGIC))
      throw new Error(`${name} is cut short, or no part of a record`)
    const nonce = bytes.subarray(MAGIC.length, MAGIC.length + NONCE_BYTES)
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
    decipher.setAAD(about(name)).setAuthTag(bytes.subarray(MAGIC.length + NONCE_BYTES, HEAD_BYTES))
    return inflateRawSync(Buffer.concat([decipher.update(bytes.subarray(HEAD_BYTES)), decipher.final()])).toString()
  },
})

const about = (name: string): Buffer => Buffer.concat([MAGIC, Buffer.from(name)])
