// Unpacked layers by chain ID (OCI image spec, "Layer ChainID"): a layer's folder is right only above the
// layers it was made on. A folder appears here whole and synced, or not at all.

import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { moveDurably, syncTree } from '../durable.ts'
import type { Claims } from './claims.ts'
import { decompress } from './compression.ts'
import { digestOf, hexOf, verified } from './digest.ts'
import { finishLayer } from './finish-layer.ts'
import { codeOf } from './malformed.ts'
import type { MergedLayer } from './merged.ts'
import { list, number, object, type Shaped, text } from './shape.ts'
import { Gate, Shared } from './shared.ts'
import { StreamSource } from './source.ts'
import { type Unpacked, type UnpackLimits, unpack } from './unpack.ts'

export type LayerSource = {
  /** Digest of the uncompressed tar, from the image's configuration. */
  diffId: string
  /** The stored form, verified where it is known: by digest and length in bytes. */
  blob?: { digest: string; size?: number }
  open(signal: AbortSignal): AsyncIterable<Uint8Array>
}

export type Layer = { chainId: string; root: string; size: number }
type Known = Layer & MergedLayer

const layerRecord = object({ size: number, whiteouts: list(text), opaque: list(text) })

/** Docker's default for downloads at a time. */
const parallel = 3

type Deps = { dir: string; claims: Claims; limits: UnpackLimits }

export class Layers {
  #deps: Deps
  #making = new Shared<Known>()
  #gate = new Gate(parallel)

  constructor(deps: Deps) {
    this.#deps = deps
  }

  /** The chain ID of each layer, lowest first. */
  static chain(diffIds: readonly string[]): string[] {
    const chain: string[] = []
    for (const diffId of diffIds) chain.push(chain.length === 0 ? diffId : digestOf(`${chain.at(-1)} ${diffId}`))
    return chain
  }

  folder(chainId: string): string {
    return join(this.#deps.dir, layerName(chainId))
  }

  root(chainId: string): string {
    return join(this.folder(chainId), 'fs')
  }

  /**
   * Makes the layers that are not there yet, fetching and unpacking several at a time. The first failure
   * stops the others and is thrown; finished layers stay. Throws Malformed and what `open` throws.
   */
  async ensure(sources: readonly LayerSource[], signal: AbortSignal): Promise<Layer[]> {
    const chain = Layers.chain(sources.map((source) => source.diffId))
    const failed = new AbortController()
    const either = AbortSignal.any([signal, failed.signal])
    const made = sources.map(async (_, index) => {
      try {
        return await this.#layer(sources, chain, index, either)
      } catch (error) {
        failed.abort(error)
        throw error
      }
    })
    try {
      return await allDone(made)
    } catch (error) {
      throw signal.aborted ? signal.reason : failed.signal.aborted ? failed.signal.reason : error
    }
  }

  #layer(sources: readonly LayerSource[], chain: readonly string[], index: number, signal: AbortSignal): Promise<Known> {
    return this.#making.run(chain[index]!, signal, (signal) => this.#make(sources, chain, index, signal))
  }

  async #make(sources: readonly LayerSource[], chain: readonly string[], index: number, signal: AbortSignal): Promise<Known> {
    const chainId = chain[index]!
    const found = await this.#read(chainId)
    if (found) return found
    const claim = await this.#deps.claims.open('work')
    const root = join(claim.dir, 'layer', 'fs')
    try {
      const unpacked = await this.#gate.run(() => this.#unpack(sources[index]!, root, signal))
      // Asked for by this work itself: another caller that asked for them too may give up.
      const lowers = await allDone(chain.slice(0, index).map((_, below) => this.#layer(sources, chain, below, signal)))
      const record: Shaped<typeof layerRecord> = { size: unpacked.size, ...(await finishLayer(root, unpacked, lowers)) }
      await writeFile(join(claim.dir, 'layer', 'layer.json'), JSON.stringify(record), { mode: 0o600 })
      await syncTree(claim.dir)
      signal.throwIfAborted()
      await this.#place(join(claim.dir, 'layer'), this.folder(chainId))
      return (await this.#read(chainId))!
    } finally {
      await claim.close()
    }
  }

  async #unpack(source: LayerSource, root: string, signal: AbortSignal): Promise<Unpacked> {
    signal.throwIfAborted()
    await mkdir(root, { recursive: true, mode: 0o700 })
    await chmod(root, 0o755)
    const stored = source.blob ? verified(source.open(signal), source.blob, `layer ${source.blob.digest}`) : source.open(signal)
    const tar = new StreamSource(verified(decompress(stored), { digest: source.diffId }, `layer ${source.diffId}`))
    try {
      const unpacked = await unpack(tar, root, { limits: this.#deps.limits, signal })
      await tar.drain()
      return unpacked
    } finally {
      await tar.close()
    }
  }

  /** Another process may have made the same layer meanwhile: both are right, the first stays. */
  async #place(from: string, to: string): Promise<void> {
    try {
      await moveDurably(from, to)
    } catch (error) {
      if (codeOf(error) !== 'ENOTEMPTY' && codeOf(error) !== 'EEXIST') throw error
    }
  }

  async has(chainId: string): Promise<boolean> {
    return (await this.#read(chainId)) !== undefined
  }

  async #read(chainId: string): Promise<Known | undefined> {
    const content = await readFile(join(this.folder(chainId), 'layer.json'), 'utf8').catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error
    })
    if (content === undefined) return undefined
    const { size, whiteouts, opaque } = layerRecord(JSON.parse(content), `layer ${chainId}`)
    return { chainId, root: this.root(chainId), size, whiteouts: new Set(whiteouts), opaque: new Set(opaque) }
  }
}

/** Short, since overlayfs takes all layers' paths in one page of mount options; 128 bits are still beyond chance. */
export const layerName = (chainId: string): string => hexOf(chainId).slice(0, 32)

/** Like Promise.all, but fails only once nothing of it runs any more. */
async function allDone<T>(work: Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work)
  return Promise.all(work)
}
