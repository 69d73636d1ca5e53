// OCI and Docker (schema 2) manifests, indexes and image configurations, checked before anything is believed.

import { arch } from 'node:process'
import type { ImageConfig } from './images.ts'
import { Malformed } from './malformed.ts'
import { digestPattern } from './reference.ts'
import { count, list, matching, object, optional, or, record, type Shaped, text } from './shape.ts'

const digest = matching(digestPattern)
const platform = object({ architecture: text, os: text, variant: optional(text) })
const descriptor = object({
  mediaType: or(text, ''),
  digest,
  size: count,
  platform: optional(platform),
  annotations: optional(record(text)),
})
export type Descriptor = Shaped<typeof descriptor>

const index = object({ manifests: list(descriptor, 1000) })
const manifest = object({ config: descriptor, layers: list(descriptor, 500) })
const strings = or(list(text), [])
const configuration = object({
  architecture: or(text, ''),
  os: or(text, ''),
  rootfs: object({ diff_ids: list(digest, 500) }),
  config: optional(
    object({
      Entrypoint: strings,
      Cmd: strings,
      Env: strings,
      WorkingDir: or(text, ''),
      User: or(text, ''),
      StopSignal: or(text, ''),
    }),
  ),
})

export type Manifest = Shaped<typeof manifest>
export type Index = Shaped<typeof index>

/** Metadata larger than this is refused unread (containerd's own bound is 8 MiB for a manifest). */
export const maxMetadataBytes = 8 << 20

export const manifestTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
]

/** Throws Malformed. */
export function parseManifest(content: Uint8Array): { manifest: Manifest } | { index: Index } {
  const json = parseJson(content, 'manifest')
  if (typeof json === 'object' && json !== null && 'schemaVersion' in json && json.schemaVersion === 1) {
    throw new Malformed('manifests of Docker schema 1 are not supported: push the image again with a current tool')
  }
  if (typeof json === 'object' && json !== null && 'manifests' in json) return { index: index(json, 'index') }
  return { manifest: manifest(json, 'manifest') }
}

export function parseIndex(content: Uint8Array): Index {
  return index(parseJson(content, 'index'), 'index')
}

/** Throws Malformed, also when the layers are not as many as `layers`. */
export function parseConfig(content: Uint8Array, layers: number): { diffIds: string[]; config: ImageConfig } {
  const { rootfs, config, os, architecture } = configuration(parseJson(content, 'image configuration'), 'image configuration')
  if (rootfs.diff_ids.length !== layers) {
    throw new Malformed(`image configuration lists ${rootfs.diff_ids.length} layers, the manifest ${layers}`)
  }
  if (os !== 'linux' && os !== '') throw new Malformed(`image is for ${os}/${architecture}`)
  return {
    diffIds: rootfs.diff_ids,
    config: {
      entrypoint: config?.Entrypoint ?? [],
      cmd: config?.Cmd ?? [],
      env: config?.Env ?? [],
      workingDir: config?.WorkingDir ?? '',
      user: config?.User ?? '',
      ...(config?.StopSignal ? { stopSignal: config.StopSignal } : {}),
    },
  }
}

export type Platform = { architecture: string; variant?: string }

/** Node's name for this machine, as images call it. On 32-bit ARM Node runs on v7 (and v6 is what v7 also runs). */
export const thisPlatform = (): Platform =>
  arch === 'x64' ? { architecture: 'amd64' } : arch === 'arm' ? { architecture: 'arm', variant: 'v7' } : { architecture: arch }

/** What a platform can run, best first. */
function runnable({ architecture, variant }: Platform): { architecture: string; variants: (string | undefined)[] }[] {
  if (architecture === 'arm64') return [{ architecture, variants: ['v8', undefined] }]
  if (architecture !== 'arm') return [{ architecture, variants: [variant, undefined, 'v1'] }]
  return [{ architecture, variants: variant === 'v6' ? ['v6', undefined, 'v5'] : ['v7', 'v6', undefined, 'v5'] }]
}

/** The manifest for `platform`, else one that names no platform. Throws Malformed. */
export function choose(manifests: readonly Descriptor[], platform: Platform): Descriptor {
  for (const { architecture, variants } of runnable(platform)) {
    for (const variant of variants) {
      const found = manifests.find(
        ({ platform: p }) => p?.os === 'linux' && p.architecture === architecture && (p.variant || undefined) === variant,
      )
      if (found) return found
    }
  }
  const unnamed = manifests.find((manifest) => !manifest.platform)
  if (unnamed) return unnamed
  const offered = manifests.map(({ platform: p }) => `${p?.os}/${p?.architecture}${p?.variant ? `/${p.variant}` : ''}`)
  throw new Malformed(`no match for platform in manifest: linux/${platform.architecture} is not among ${offered.join(', ') || 'none'}`)
}

export function parseJson(content: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(content))
  } catch (error) {
    throw new Malformed(`${what} is not JSON`, { cause: error })
  }
}
