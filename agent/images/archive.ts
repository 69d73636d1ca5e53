// Image archives as `docker save`, skopeo, buildah and `ctr image export` write them. The outer tar is
// indexed without reading its content, then read by position: layers stream from it into the store.

import type { FileHandle } from 'node:fs/promises'
import { open } from 'node:fs/promises'
import { join } from 'node:path/posix'
import { decompress } from './compression.ts'
import { digestOf, hexOf } from './digest.ts'
import { layerPath, parentOf } from './layer-path.ts'
import type { LayerSource } from './layers.ts'
import { Malformed } from './malformed.ts'
import { choose, type Descriptor, maxMetadataBytes, type Platform, parseConfig, parseIndex, parseJson, parseManifest } from './manifest.ts'
import { list, object, or, text } from './shape.ts'
import { FileSource } from './source.ts'
import { readTar } from './tar.ts'

export type ArchivedImage = {
  /** References as they stand in the archive, not yet parsed. */
  names: string[]
  /** A tag without a repository: to be joined with a name given by the caller. */
  tag?: string
  /** Digest of the manifest or index, where the archive has one. */
  digest?: string
  /** Manifest and configuration. */
  metadata: Buffer[]
  id: string
  layers: LayerSource[]
}

type Place = { offset: number; size: number }

const mostFiles = 100_000

const dockerManifest = list(object({ Config: text, RepoTags: or(list(text), []), Layers: list(text) }))

export class Archive {
  #file: FileHandle
  #places: Map<string, Place>
  #platform: Platform

  private constructor(file: FileHandle, places: Map<string, Place>, platform: Platform) {
    this.#file = file
    this.#places = places
    this.#platform = platform
  }

  /** A compressed archive is unpacked to `plain` first, at most `limit` bytes of it. Throws Malformed. */
  static async open(path: string, options: { plain: string; limit: number; platform: Platform; signal?: AbortSignal }): Promise<Archive> {
    const file = await openPlain(path, options)
    try {
      return new Archive(file, await index(file), options.platform)
    } catch (error) {
      await file.close()
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  /** Every image in it that this machine can run. Throws Malformed. */
  async images(): Promise<ArchivedImage[]> {
    const docker = this.#places.has('manifest.json') ? await this.#dockerImages() : []
    if (!this.#places.has('index.json')) {
      if (docker.length > 0) return docker
      throw new Malformed('neither an OCI nor a docker image archive')
    }
    const images = await this.#ociImages()
    // `docker save` writes both forms, and full names only into its own.
    for (const image of images) {
      const same = docker.find(({ id }) => id === image.id)
      if (same && image.names.length === 0) image.names = same.names
    }
    return images
  }

  async #ociImages(): Promise<ArchivedImage[]> {
    const images: ArchivedImage[] = []
    const top = parseIndex(await this.#read('index.json'))
    const groups = Map.groupBy(
      top.manifests,
      (entry) => entry.annotations?.['io.containerd.image.name'] ?? entry.annotations?.[refName] ?? '',
    )
    for (const [name, entries] of groups) {
      const distinct = entries.every((entry) => entry.platform) || name !== '' ? [choose(entries, this.#platform)] : entries
      for (const entry of distinct) images.push({ ...(await this.#ociImage(entry)), ...naming(name) })
    }
    return images
  }

  async #ociImage(top: Descriptor): Promise<Omit<ArchivedImage, 'names'>> {
    const metadata: Buffer[] = []
    let entry = top
    for (let depth = 0; depth < 4; depth++) {
      const content = await this.#blob(entry)
      metadata.push(content)
      const parsed = parseManifest(content)
      if ('index' in parsed) {
        entry = choose(parsed.index.manifests, this.#platform)
        continue
      }
      const { config, layers } = parsed.manifest
      const configuration = await this.#blob(config)
      metadata.push(configuration)
      const { diffIds } = parseConfig(configuration, layers.length)
      return {
        digest: top.digest,
        metadata,
        id: config.digest,
        layers: layers.map((layer, at) => ({
          diffId: diffIds[at]!,
          blob: { digest: layer.digest, size: layer.size },
          open: () => this.#stream(this.#place(blobPath(layer.digest))),
        })),
      }
    }
    throw new Malformed('indexes within indexes')
  }

  async #dockerImages(): Promise<ArchivedImage[]> {
    const images: ArchivedImage[] = []
    const manifest = dockerManifest(parseJson(await this.#read('manifest.json'), 'manifest.json'), 'manifest.json')
    for (const { Config, RepoTags, Layers } of manifest) {
      const configuration = await this.#read(layerPath(Config))
      const { diffIds } = parseConfig(configuration, Layers.length)
      images.push({
        names: RepoTags,
        metadata: [configuration],
        id: digestOf(configuration),
        layers: Layers.map((path, at) => ({ diffId: diffIds[at]!, open: () => this.#stream(this.#place(layerPath(path))) })),
      })
    }
    return images
  }

  async #blob({ digest, size }: Descriptor): Promise<Buffer> {
    const content = await this.#read(blobPath(digest))
    if (content.length !== size || digestOf(content) !== digest) throw new Malformed(`${digest}: content does not match`)
    return content
  }

  async #read(path: string): Promise<Buffer> {
    const { offset, size } = this.#place(path)
    if (size > maxMetadataBytes) throw new Malformed(`${path}: ${size} bytes`)
    const { buffer, bytesRead } = await this.#file.read(Buffer.alloc(size), 0, size, offset)
    if (bytesRead !== size) throw new Malformed(`${path}: truncated`)
    return buffer
  }

  #place(path: string): Place {
    const place = this.#places.get(path)
    if (!place) throw new Malformed(`${path} is missing from the archive`)
    return place
  }

  async *#stream({ offset, size }: Place): AsyncGenerator<Buffer> {
    for (let at = 0; at < size; ) {
      const length = Math.min(size - at, 1 << 18)
      const { buffer, bytesRead } = await this.#file.read(Buffer.allocUnsafe(length), 0, length, offset + at)
      if (bytesRead === 0) throw new Malformed('truncated')
      at += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  }
}

const refName = 'org.opencontainers.image.ref.name'
const blobPath = (digest: string) => `blobs/sha256/${hexOf(digest)}`

/** An annotation may be a whole reference or only a tag (OCI image spec, annotations). */
const naming = (name: string): { names: string[]; tag?: string } =>
  name === '' ? { names: [] } : /[/:]/.test(name) ? { names: [name] } : { names: [], tag: name }

async function openPlain(path: string, options: { plain: string; limit: number; signal?: AbortSignal }): Promise<FileHandle> {
  const file = await open(path, 'r')
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0)
    const head = buffer.subarray(0, bytesRead).toString('hex')
    if (!head.startsWith('1f8b') && head !== '28b52ffd') return file
    const plain = await open(options.plain, 'wx+', 0o600)
    try {
      let size = 0
      for await (const chunk of decompress(file.createReadStream({ start: 0, autoClose: false, highWaterMark: 1 << 18 }))) {
        options.signal?.throwIfAborted()
        size += chunk.length
        if (size > options.limit) throw new Malformed(`unpacks to more than ${options.limit} bytes`)
        await plain.writeFile(chunk)
      }
    } catch (error) {
      await plain.close()
      throw error
    }
    await file.close()
    return plain
  } catch (error) {
    await file.close()
    throw error
  }
}

/** Where each file of the tar is. Links (docker save repeats a layer as one) stand for what they point at. */
async function index(file: FileHandle): Promise<Map<string, Place>> {
  const { size } = await file.stat()
  const source = new FileSource(file, size)
  const places = new Map<string, Place>()
  const links: { path: string; target: string }[] = []
  for await (const entry of readTar(source)) {
    const path = layerPath(entry.name)
    if (places.size + links.length > mostFiles) throw new Malformed(`more than ${mostFiles} files`)
    if (entry.type === 'file') places.set(path, { offset: source.position, size: entry.size })
    if (entry.type === 'symlink') links.push({ path, target: layerPath(join(parentOf(path), entry.linkName)) })
    if (entry.type === 'hardlink') links.push({ path, target: layerPath(entry.linkName) })
  }
  for (const { path, target } of links) {
    const place = places.get(target)
    if (place) places.set(path, place)
  }
  return places
}
