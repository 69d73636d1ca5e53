// From a reference to an image's parts at its registry: which manifest, which configuration, which layers.

import type { Clock } from '#api/clock.ts'
import type { Log } from '#api/log.ts'
import { digestOf } from './digest.ts'
import type { Http } from './http.ts'
import { type Credentials, ImageError } from './images.ts'
import type { LayerSource } from './layers.ts'
import { codeOf, Malformed } from './malformed.ts'
import { choose, maxMetadataBytes, type Platform, parseConfig, parseManifest } from './manifest.ts'
import type { Reference } from './reference.ts'
import type { Registries } from './registries.ts'
import { RegistryError, Repository, type Retry } from './registry.ts'

export type RemoteImage = { digest: string; metadata: Buffer[]; id: string; layers: LayerSource[] }

export type PullDeps = { http: Http; registries: Registries; platform: Platform; clock: Clock; retry: Retry; log: Log }

/**
 * Reads everything but the layers, from the first endpoint that has the image. `known` gives what is stored
 * already. Throws RegistryError, Malformed.
 */
export async function locate(
  reference: Reference,
  options: { credentials: Credentials[]; known: (digest: string) => Promise<Buffer | undefined>; signal: AbortSignal },
  deps: PullDeps,
): Promise<RemoteImage> {
  let failure: unknown
  for (const endpoint of await deps.registries.endpoints(reference)) {
    const repository = new Repository({ ...deps, endpoint, credentials: options.credentials })
    try {
      return await describe(repository, reference.digest ?? reference.tag!, options, deps.platform)
    } catch (error) {
      options.signal.throwIfAborted()
      if (!(error instanceof RegistryError)) throw error
      deps.log.debug({ image: reference.name, endpoint: endpoint.base.href, error }, 'registry does not give the image')
      // What the registry itself says, asked last, counts more than what a mirror said.
      failure = error
    }
  }
  throw failure
}

async function describe(
  repository: Repository,
  tagOrDigest: string,
  { known, signal }: Parameters<typeof locate>[1],
  platform: Platform,
): Promise<RemoteImage> {
  const read = async (digest: string, fetch: () => Promise<Buffer>) => (await known(digest)) ?? (await fetch())
  const fetchManifest = (name: string) => repository.manifest(name, signal)
  const top = tagOrDigest.includes(':') ? await read(tagOrDigest, () => fetchManifest(tagOrDigest)) : await fetchManifest(tagOrDigest)
  const metadata = [top]
  for (let depth = 0; depth < 4; depth++) {
    const parsed = parseManifest(metadata.at(-1)!)
    if ('index' in parsed) {
      const { digest } = choose(parsed.index.manifests, platform)
      metadata.push(await read(digest, () => fetchManifest(digest)))
      continue
    }
    const { config, layers } = parsed.manifest
    if (config.size > maxMetadataBytes) throw new Malformed(`image configuration of ${config.size} bytes`)
    const configuration = await read(config.digest, () => repository.metadata(config.digest, signal))
    metadata.push(configuration)
    const { diffIds } = parseConfig(configuration, layers.length)
    return {
      digest: digestOf(top),
      metadata,
      id: config.digest,
      layers: layers.map((layer, at) => ({
        diffId: diffIds[at]!,
        blob: { digest: layer.digest, size: layer.size },
        open: (signal) => repository.blob(layer.digest, layer.size, signal),
      })),
    }
  }
  throw new Malformed('indexes within indexes')
}

/** What a failed pull is to kubectl's users; what is not about the image or its registry passes. */
export function pullError(reference: Reference, error: unknown): unknown {
  const message = (why: string) => `failed to pull image "${reference.name}": ${why}`
  if (error instanceof RegistryError) {
    const why = error.reason === 'notFound' ? `${reference.name}: not found` : error.message
    return new ImageError(error.reason === 'unavailable' ? 'RegistryUnavailable' : 'ErrImagePull', message(why), { cause: error })
  }
  if (error instanceof Malformed || codeOf(error) !== '') {
    return new ImageError('ErrImagePull', message((error as Error).message), { cause: error })
  }
  return error
}
