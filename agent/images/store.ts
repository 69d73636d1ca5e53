// The image store: `openImages` over one folder, used by the agent and, at the same time, by the command
// line. Names are records in `names/`, configurations and manifests are in `blobs/`, unpacked layers in
// `layers/`, and work in progress in `staging/`. A name appears only once all it leads to is on disk.

import { mkdir, statfs } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type Clock, systemClock } from '#api/clock.ts'
import type { Log } from '#api/log.ts'
import { Archive, type ArchivedImage } from './archive.ts'
import { Blobs } from './blobs.ts'
import { Catalog, type NameRecord } from './catalog.ts'
import { Claims } from './claims.ts'
import { Collector, type Lease } from './collector.ts'
import { digestOf } from './digest.ts'
import { type Http, openHttp } from './http.ts'
import { type Credentials, type Image, ImageError, type Images } from './images.ts'
import { type LayerSource, Layers } from './layers.ts'
import { Malformed } from './malformed.ts'
import { type Platform, parseConfig, thisPlatform } from './manifest.ts'
import { locate, pullError } from './pull.ts'
import { digestPattern, parseReference, type Reference } from './reference.ts'
import { type Registries, readRegistries } from './registries.ts'
import type { Retry } from './registry.ts'
import { Shared } from './shared.ts'
import type { UnpackLimits } from './unpack.ts'
import { Holds } from './usage.ts'

export type ImagesOptions = {
  dir: string
  log: Log
  clock?: Clock
  /** registries.yaml; need not exist. */
  registriesFile?: string
  platform?: Platform
  /** Of one layer; `bytes` also of an archive. */
  limits?: UnpackLimits
  retry?: Retry
  /** How long a registry may say nothing before the connection counts as dropped. */
  silenceMillis?: number
  /** Bytes of the disk that `dir` is on. */
  disk?: () => Promise<{ total: number; free: number }>
}

export interface ImageStore extends Images {
  /**
   * Deletes what no name leads to and, when the disk is fuller than `highPercent`, images that are not in use,
   * the longest unused first, until it is no fuller than `lowPercent`. Returns the images removed.
   */
  prune(options: { highPercent: number; lowPercent: number; keep?: (image: Image) => boolean }): Promise<Image[]>
  /** Stops pulls and imports, and closes connections. */
  close(): Promise<void>
}

const defaultLimits: UnpackLimits = { bytes: 32 * 2 ** 30, entries: 2_000_000 }
const defaultRetry: Retry = { attempts: 5, millis: 500 }

/** Throws for a registries file that is wrong. */
export async function openImages(options: ImagesOptions): Promise<ImageStore> {
  const folder = (name: string) => join(options.dir, name)
  for (const name of ['blobs/sha256', 'layers', 'names', 'staging']) await mkdir(folder(name), { recursive: true, mode: 0o700 })
  const { clock = systemClock, limits = defaultLimits, log } = options
  const claims = new Claims(folder('staging'))
  await claims.sweep()
  const catalog = new Catalog({ dir: folder('names'), claims, log, monotonic: () => clock.monotonic() })
  const holds = new Holds(() => clock.monotonic())
  const blobs = new Blobs({ dir: folder('blobs/sha256'), claims })
  const layers = new Layers({ dir: folder('layers'), claims, limits })
  await forgetDamaged({ catalog, blobs, layers, log })
  return new Store({
    dir: options.dir,
    log,
    clock,
    limits,
    platform: options.platform ?? thisPlatform(),
    retry: options.retry ?? defaultRetry,
    disk: options.disk ?? (() => diskOf(options.dir)),
    claims,
    catalog,
    holds,
    blobs,
    layers,
    collector: new Collector({ blobsDir: folder('blobs/sha256'), layersDir: folder('layers'), catalog, claims, holds }),
    registries: await readRegistries(options.registriesFile),
    http: openHttp({ silenceMillis: options.silenceMillis ?? 30_000 }),
  })
}

/** An image that lost a part (a damaged disk, a helping hand) is as good as absent: it is to be fetched again. */
async function forgetDamaged({ catalog, blobs, layers, log }: Pick<Parts, 'catalog' | 'blobs' | 'layers' | 'log'>): Promise<void> {
  const damaged: string[] = []
  for (const record of (await catalog.read()).values()) {
    const whole = await Promise.all([...record.layers.map((id) => layers.has(id)), ...record.blobs.map((digest) => blobs.read(digest))])
    if (whole.every(Boolean)) continue
    log.warn({ image: record.name }, 'an image has lost a part and is forgotten')
    damaged.push(record.name)
  }
  if (damaged.length > 0) await catalog.remove(damaged)
}

type Parts = Required<Pick<ImagesOptions, 'dir' | 'log' | 'clock' | 'limits' | 'platform' | 'retry' | 'disk'>> & {
  claims: Claims
  catalog: Catalog
  holds: Holds
  blobs: Blobs
  layers: Layers
  collector: Collector
  registries: Registries
  http: Http
}

class Store implements ImageStore {
  #parts: Parts
  #pulls = new Shared<Image>()
  #closing = new AbortController()
  #busy = new Set<Promise<unknown>>()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  async find(reference: string): Promise<Image | undefined> {
    const records = await this.#parts.catalog.read()
    const found = select(records, reference)[0]
    return found && this.#image(found.id, records)
  }

  async list(): Promise<Image[]> {
    const records = await this.#parts.catalog.read()
    const ids = new Set([...records.values()].map(({ id }) => id))
    return [...ids].map((id) => this.#image(id, records))
  }

  async pull(text: string, options: { credentials?: Credentials[]; signal?: AbortSignal } = {}): Promise<Image> {
    const reference = parseReference(text)
    const credentials = options.credentials ?? []
    const key = digestOf(JSON.stringify([reference.name, credentials]))
    return this.#track(
      this.#pulls.run(key, this.#signal(options.signal), async (signal) => {
        try {
          return await this.#pull(reference, credentials, signal)
        } catch (error) {
          signal.throwIfAborted()
          throw pullError(reference, error)
        }
      }),
    )
  }

  async import(file: string, options: { name?: string; signal?: AbortSignal } = {}): Promise<Image[]> {
    const signal = this.#signal(options.signal)
    try {
      return await this.#track(this.#import(file, options.name, signal))
    } catch (error) {
      await this.#parts.collector.collect()
      signal.throwIfAborted()
      if (!(error instanceof Malformed)) throw error
      throw new ImageError('InvalidArchive', `cannot import ${basename(file)}: ${error.message}`, { cause: error })
    }
  }

  async remove(reference: string): Promise<boolean> {
    const { catalog, collector } = this.#parts
    const records = await catalog.read()
    const going = select(records, reference)
    const first = going[0]
    if (!first) return false
    const staying = [...records.values()].some((record) => record.id === first.id && !going.includes(record))
    if (!staying && (await collector.inUse(first))) return false
    await catalog.remove(going.map(({ name }) => name))
    await collector.collect()
    return true
  }

  hold(id: string): () => void {
    return this.#parts.holds.hold(id)
  }

  async prune(options: { highPercent: number; lowPercent: number; keep?: (image: Image) => boolean }): Promise<Image[]> {
    const { holds, catalog, disk } = this.#parts
    await this.#parts.claims.sweep()
    await this.#parts.collector.collect()
    const fuller = async (percent: number) => {
      const { total, free } = await disk()
      return (1 - free / total) * 100 > percent
    }
    if (!(await fuller(options.highPercent))) return []
    const added = new Map([...(await catalog.read()).values()].map(({ id, added }) => [id, added]))
    // What this process has used is used last; of the others nobody knows more than when they came, by a clock that may have stepped.
    const before = Math.max(0, ...added.values())
    const usedAt = ({ id }: Image) => {
      const used = holds.lastUsed(id)
      return used === undefined ? (added.get(id) ?? 0) - before - 1 : used
    }
    const removed: Image[] = []
    for (const image of (await this.list()).sort((a, b) => usedAt(a) - usedAt(b))) {
      if (options.keep?.(image)) continue
      if (await this.remove(image.id)) removed.push(image)
      if (!(await fuller(options.lowPercent))) break
    }
    return removed
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error('the image store is closed'))
    await Promise.allSettled(this.#busy)
    this.#parts.http.close()
  }

  async #pull(reference: Reference, credentials: Credentials[], signal: AbortSignal): Promise<Image> {
    const { blobs, collector, log, clock } = this.#parts
    const started = clock.monotonic()
    const lease = await collector.lease(signal)
    try {
      const { digest, ...content } = await locate(reference, { credentials, known: (digest) => blobs.read(digest), signal }, this.#parts)
      await this.#store([reference.name], { ...content, digest }, lease, signal)
      log.info({ image: reference.name, id: content.id, millis: Math.round(clock.monotonic() - started) }, 'pulled an image')
      return this.#image(content.id, await this.#parts.catalog.read())
    } finally {
      await lease.close()
    }
  }

  async #import(file: string, name: string | undefined, signal: AbortSignal): Promise<Image[]> {
    const { collector, claims, limits, platform } = this.#parts
    const lease = await collector.lease(signal)
    const claim = await claims.open('work')
    try {
      const archive = await Archive.open(file, { plain: join(claim.dir, 'plain.tar'), limit: limits.bytes, platform, signal })
      try {
        const images = await archive.images()
        if (name !== undefined && images.length !== 1)
          throw new Malformed(`it holds ${images.length} images: one name cannot be given to all`)
        const named = images.map((image) => ({ image, names: archivedNames(image, name) }))
        // Names only once everything in the archive has proved to be sound.
        for (const { image } of named) await this.#content(image, lease, signal)
        for (const { image, names } of named) await this.#store(names, image, lease, signal)
        const records = await this.#parts.catalog.read()
        return [...new Set(images.map(({ id }) => id))].map((id) => this.#image(id, records))
      } finally {
        await archive.close()
      }
    } finally {
      await claim.close()
      await lease.close()
    }
  }

  async #store(names: string[], image: Parsed, lease: Lease, signal: AbortSignal): Promise<void> {
    const { catalog, clock, holds } = this.#parts
    const content = await this.#content(image, lease, signal)
    signal.throwIfAborted()
    for (const name of names) await catalog.write({ name, id: image.id, digest: image.digest, added: clock.now(), ...content })
    holds.touch(image.id)
  }

  /** Layers, manifest and configuration on disk, and what a record says of them. */
  async #content(image: Parsed, lease: Lease, signal: AbortSignal): Promise<Pick<NameRecord, 'blobs' | 'layers' | 'size' | 'config'>> {
    const { blobs, layers } = this.#parts
    const digests = image.metadata.map(digestOf)
    lease.needs({ blobs: digests, layers: Layers.chain(image.layers.map(({ diffId }) => diffId)) })
    const made = await layers.ensure(image.layers, signal)
    for (const content of image.metadata) await blobs.write(content)
    const { config } = parseConfig(image.metadata.at(-1)!, image.layers.length)
    const sizes = [...made.map(({ size }) => size), ...image.metadata.map(({ length }) => length)]
    return { blobs: digests, layers: made.map(({ chainId }) => chainId), size: sizes.reduce((sum, size) => sum + size, 0), config }
  }

  #image(id: string, records: ReadonlyMap<string, NameRecord>): Image {
    const own = [...records.values()].filter((record) => record.id === id)
    const first = own[0]
    if (!first) throw new Error(`image ${id} has gone while it was read`)
    this.#parts.holds.saw(id, first)
    const digests = own.flatMap(({ name, digest }) => (digest ? [`${parseReference(name).repository}@${digest}`] : []))
    return {
      id,
      names: own
        .map(({ name }) => name)
        .filter((name) => !name.includes('@'))
        .sort(),
      digests: [...new Set(digests)].sort(),
      layers: first.layers.map((chainId) => this.#parts.layers.root(chainId)),
      size: first.size,
      config: first.config,
    }
  }

  #signal(signal: AbortSignal | undefined): AbortSignal {
    return signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal
  }

  async #track<T>(work: Promise<T>): Promise<T> {
    this.#busy.add(work)
    try {
      return await work
    } finally {
      this.#busy.delete(work)
    }
  }
}

type Parsed = { id: string; digest?: string; metadata: Buffer[]; layers: LayerSource[] }

/** The records a reference or id means: one for a name, all of an image for its id. */
function select(records: ReadonlyMap<string, NameRecord>, reference: string): NameRecord[] {
  const all = [...records.values()]
  if (digestPattern.test(reference)) return all.filter(({ id }) => id === reference)
  const parsed = parseReference(reference)
  const named = records.get(parsed.name)
  if (named) return [named]
  return all.filter(({ name, digest }) => parsed.digest === digest && parseReference(name).repository === parsed.repository)
}

function archivedNames(image: ArchivedImage, given: string | undefined): string[] {
  if (given !== undefined) return [ownName(image, parseReference(given))]
  if (image.names.length === 0)
    throw new Malformed(`an image in it has no name${image.tag ? `, only the tag ${image.tag}` : ''}: give it one`)
  try {
    return image.names.map((name) => ownName(image, parseReference(name)))
  } catch (error) {
    throw new Malformed((error as Error).message, { cause: error })
  }
}

/** Who asks by digest wants that content and no other: an archive's word for it is not enough. */
function ownName({ metadata }: ArchivedImage, { name, digest }: Reference): string {
  // The last is the configuration, whose digest is the image's id.
  if (digest !== undefined && !metadata.slice(0, -1).map(digestOf).includes(digest)) {
    throw new Malformed(`it names an image ${name}, which has another digest`)
  }
  return name
}

async function diskOf(dir: string): Promise<{ total: number; free: number }> {
  const { blocks, bavail, bsize } = await statfs(dir)
  return { total: blocks * bsize, free: bavail * bsize }
}
