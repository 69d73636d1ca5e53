// OCI and Docker (schema 2) manifests, indexes and image configurations, checked before anything is believed.

import { arch } from 'node:process'
import { z } from 'zod'
import type { ImageConfig } from './images.ts'
import { Malformed } from './malformed.ts'
import { digestPattern } from './reference.ts'

const digest = z.string().regex(digestPattern)
const platformSchema = z.object({ architecture: z.string(), os: z.string(), variant: z.string().optional() })
const descriptor = z.object({
  mediaType: z.string().default(''),
  digest,
  size: z.int().nonnegative(),
  platform: platformSchema.nullish(),
  annotations: z.record(z.string(), z.string()).nullish(),
})
export type Descriptor = z.infer<typeof descriptor>

const indexSchema = z.object({ manifests: z.array(descriptor).max(1000) })
const manifestSchema = z.object({ config: descriptor, layers: z.array(descriptor).max(500) })
const strings = z
  .array(z.string())
  .nullish()
  .transform((list) => list ?? [])
const configSchema = z.object({
  architecture: z.string().default(''),
  os: z.string().default(''),
  variant: z.string().optional(),
  rootfs: z.object({ diff_ids: z.array(digest).max(500) }),
  config: z
    .object({
      Entrypoint: strings,
      Cmd: strings,
      Env: strings,
      WorkingDir: z.string().nullish(),
      User: z.string().nullish(),
      StopSignal: z.string().nullish(),
    })
    .nullish(),
})

export type Manifest = z.infer<typeof manifestSchema>
export type Index = z.infer<typeof indexSchema>

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
  if (typeof json === 'object' && json !== null && 'manifests' in json) return { index: check(indexSchema, json, 'index') }
  return { manifest: check(manifestSchema, json, 'manifest') }
}

export function parseIndex(content: Uint8Array): Index {
  return check(indexSchema, parseJson(content, 'index'), 'index')
}

/** Throws Malformed, also when the layers are not as many as `layers`. */
export function parseConfig(content: Uint8Array, layers: number): { diffIds: string[]; config: ImageConfig } {
  const { rootfs, config, os, architecture } = check(configSchema, parseJson(content, 'image configuration'), 'image configuration')
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

export function check<S extends z.ZodType>(schema: S, value: unknown, what: string): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw new Malformed(`${what} is invalid: ${issue?.path.join('.') || 'it'}: ${issue?.message}`, { cause: result.error })
}
