// Writes OCI image archives (image layout in a tar), the same bytes for the same input: entries in the
// order given, times fixed. In memory, for small images and for tests.

import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { type Header, pack } from 'tar-stream'

export type ArchiveFile = {
  path: string
  type?: Header['type']
  content?: string | Uint8Array
  /** Target of a symlink or hard link. */
  link?: string
  /** Default 0755 for directories, 0644 otherwise. */
  mode?: number
  uid?: number
  gid?: number
  /** Seconds since 1970. */
  mtime?: number
  /** Extended header records, e.g. `SCHILY.xattr.user.x`. */
  pax?: Record<string, string>
}

export type ImageSource = {
  /** Full references, e.g. `docker.io/library/busybox:latest`. */
  names: string[]
  /** Lowest first; each a tar, compressed as `compression` says. */
  layers: Uint8Array[]
  compression?: 'none' | 'gzip' | 'zstd'
  architecture: string
  variant?: string
  /** The OCI image configuration's `config`: Entrypoint, Cmd, Env, ... */
  config?: Record<string, unknown>
}

type Blob = { digest: string; content: Uint8Array }
type Descriptor = { mediaType: string; digest: string; size: number }
export type BuiltImage = { manifest: Descriptor; config: Descriptor; layers: Descriptor[]; blobs: Blob[] }

export async function tar(files: readonly ArchiveFile[]): Promise<Buffer> {
  const archive = pack()
  for (const { path, type = 'file', content, link, mode, uid = 0, gid = 0, mtime = 0, pax } of files) {
    const header = {
      name: path,
      type,
      mode: mode ?? (type === 'directory' ? 0o755 : type === 'symlink' ? 0o777 : 0o644),
      uid,
      gid,
      mtime: new Date(mtime * 1000),
      ...(link === undefined ? {} : { linkname: link }),
      ...(pax ? { pax } : {}),
    }
    if (type === 'file') archive.entry(header, Buffer.from(content ?? ''))
    else archive.entry(header)
  }
  archive.finalize()
  return await buffer(archive)
}

/** The image's blobs and what describes them. */
export function buildImage(image: ImageSource): BuiltImage {
  const blobs: Blob[] = []
  const add = (mediaType: string, content: Uint8Array): Descriptor => {
    const digest = digestOf(content)
    if (!blobs.some((blob) => blob.digest === digest)) blobs.push({ digest, content })
    return { mediaType, digest, size: content.length }
  }
  const compression = image.compression ?? 'gzip'
  const layers = image.layers.map((layer) => {
    const suffix = compression === 'none' ? '' : `+${compression}`
    const content = compression === 'gzip' ? gzipSync(layer) : compression === 'zstd' ? zstdCompressSync(layer) : layer
    return add(`application/vnd.oci.image.layer.v1.tar${suffix}`, content)
  })
  const config = add(
    'application/vnd.oci.image.config.v1+json',
    json({
      created: '1970-01-01T00:00:00Z',
      architecture: image.architecture,
      ...(image.variant ? { variant: image.variant } : {}),
      os: 'linux',
      config: image.config ?? {},
      rootfs: { type: 'layers', diff_ids: image.layers.map(digestOf) },
    }),
  )
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const manifest = add(mediaType, json({ schemaVersion: 2, mediaType, config, layers }))
  return { manifest, config, layers, blobs }
}

/** An archive of one or several images. */
export async function ociArchive(images: readonly ImageSource[]): Promise<Buffer> {
  const blobs = new Map<string, Uint8Array>()
  const manifests: object[] = []
  for (const image of images) {
    const built = buildImage(image)
    for (const { digest, content } of built.blobs) blobs.set(digest, content)
    for (const name of image.names) {
      const tag = name.slice(name.lastIndexOf(':') + 1)
      manifests.push({
        ...built.manifest,
        platform: { architecture: image.architecture, os: 'linux', ...(image.variant ? { variant: image.variant } : {}) },
        annotations: { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': tag },
      })
    }
  }
  return tar([
    { path: 'oci-layout', content: json({ imageLayoutVersion: '1.0.0' }) },
    { path: 'index.json', content: json({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests }) },
    { path: 'blobs/', type: 'directory' },
    { path: 'blobs/sha256/', type: 'directory' },
    ...[...blobs].map(([digest, content]) => ({ path: `blobs/sha256/${digest.slice('sha256:'.length)}`, content })),
  ])
}

export const digestOf = (content: Uint8Array): string => `sha256:${createHash('sha256').update(content).digest('hex')}`

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
