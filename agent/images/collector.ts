// Deletes layers and blobs that no name leads to. In this process, work in progress says what it relies on;
// while another process works, nothing is deleted, and the next collection makes up for it.

import { renameSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Catalog, NameRecord } from './catalog.ts'
import type { Claims } from './claims.ts'
import { hexOf } from './digest.ts'
import { layerName } from './layers.ts'
import { codeOf } from './malformed.ts'
import { type Holds, mountedLayers } from './usage.ts'

type Content = { blobs?: readonly string[]; layers?: readonly string[] }
/** A piece of work that is about to lead to content. */
export type Lease = { needs(content: Content): void; close(): Promise<void> }

type Deps = { blobsDir: string; layersDir: string; catalog: Catalog; claims: Claims; holds: Holds }

export class Collector {
  #deps: Deps
  #leases = new Set<Set<string>>()
  /** Leases that ended while a collection was looking: they count until it is done. */
  #ended: Set<string>[] = []
  #collecting: Promise<void> | undefined

  constructor(deps: Deps) {
    this.#deps = deps
  }

  async lease(signal?: AbortSignal): Promise<Lease> {
    while (this.#collecting) await this.#collecting
    const names = new Set<string>()
    this.#leases.add(names)
    const claim = await this.#deps.claims.open('work')
    const close = async () => {
      if (this.#collecting) this.#ended.push(names)
      else this.#leases.delete(names)
      await claim.close()
    }
    try {
      await this.#deps.claims.uncollected(signal)
    } catch (error) {
      await close()
      throw error
    }
    return { needs: (content) => addTo(names, content), close }
  }

  async collect(): Promise<void> {
    while (this.#collecting) await this.#collecting
    const done = Promise.withResolvers<void>()
    this.#collecting = done.promise
    const trash = await this.#deps.claims.open('trash')
    try {
      const claim = await this.#deps.claims.open('collect')
      try {
        if (!(await this.#deps.claims.others('work'))) await this.#move(trash.dir)
      } finally {
        await claim.close()
      }
    } finally {
      for (const names of this.#ended.splice(0)) this.#leases.delete(names)
      this.#collecting = undefined
      done.resolve()
      await trash.close()
    }
  }

  async #move(trash: string): Promise<void> {
    const { blobsDir, layersDir, catalog, holds } = this.#deps
    const needed = await mountedLayers()
    for (const record of (await catalog.read()).values()) addTo(needed, record)
    for (const content of holds.content()) addTo(needed, content)
    for (const dir of [layersDir, blobsDir]) {
      for (const name of await readdir(dir)) {
        // Checked and moved in one go: work that begins to rely on it now finds it gone.
        if (needed.has(name) || [...this.#leases].some((names) => names.has(name))) continue
        try {
          renameSync(join(dir, name), join(trash, name))
        } catch (error) {
          // Another process collects too.
          if (codeOf(error) !== 'ENOENT') throw error
        }
      }
    }
  }

  /** Whether the image is held here, or a container that someone started has one of its layers mounted. */
  async inUse(record: NameRecord): Promise<boolean> {
    if (this.#deps.holds.has(record.id)) return true
    const top = record.layers.at(-1)
    return top !== undefined && (await mountedLayers()).has(layerName(top))
  }
}

function addTo(names: Set<string>, { blobs = [], layers = [] }: Content): void {
  for (const digest of blobs) names.add(hexOf(digest))
  for (const chainId of layers) names.add(layerName(chainId))
}
