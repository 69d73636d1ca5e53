// Manifests and image configurations by digest. Layers are not kept in their compressed form: nothing
// here ever pushes them, and an SD card has no room for them twice.

import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeDurably } from '../durable.ts'
import type { Claims } from './claims.ts'
import { digestOf, hexOf } from './digest.ts'
import { codeOf } from './malformed.ts'

export class Blobs {
  readonly dir: string
  #claims: Claims

  constructor(deps: { dir: string; claims: Claims }) {
    this.dir = deps.dir
    this.#claims = deps.claims
  }

  /** The content, verified; undefined if it is not here or has rotted. */
  async read(digest: string): Promise<Buffer | undefined> {
    const content = await readFile(this.#file(digest)).catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error
    })
    return content && digestOf(content) === digest ? content : undefined
  }

  async write(content: Uint8Array): Promise<string> {
    const digest = digestOf(content)
    if (await this.read(digest)) return digest
    const claim = await this.#claims.open('work')
    try {
      await mkdir(this.dir, { recursive: true, mode: 0o700 })
      await writeDurably(this.#file(digest), content, join(claim.dir, 'blob'))
    } finally {
      await claim.close()
    }
    return digest
  }

  #file(digest: string): string {
    return join(this.dir, hexOf(digest))
  }
}
