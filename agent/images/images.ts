// The image store's contract, as pods and the command line see it: OCI content by digest, unpacked
// layers ready for overlayfs, and the names that point at them. All of it lives under one folder and
// survives a power cut: an image is listed only once its every layer is unpacked and synced.

export type ImageConfig = {
  entrypoint: string[]
  cmd: string[]
  env: string[]
  workingDir: string
  /** `user[:group]`, names or numbers, as in the image. */
  user: string
  stopSignal?: string
}

export type Image = {
  /** Digest of the image configuration, `sha256:…`: the image's identity. */
  id: string
  /** Full references that name it, e.g. `docker.io/library/busybox:1.35`. */
  names: string[]
  /** `repository@sha256:…` of the manifest. */
  digests: string[]
  /** Unpacked layer folders, lowest first. */
  layers: string[]
  /** Bytes on disk. */
  size: number
  config: ImageConfig
}

export type Credentials = { username: string; password: string }

/** Why an image could not be had; `reason` is the container's waiting reason that kubectl users know. */
export class ImageError extends Error {
  readonly reason: 'ErrImagePull' | 'InvalidImageName' | 'ErrImageNeverPull' | 'RegistryUnavailable' | 'InvalidArchive'
  constructor(reason: ImageError['reason'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ImageError'
    this.reason = reason
  }
}

export interface Images {
  /** What is stored under this reference or id, without asking any registry. */
  find(reference: string): Promise<Image | undefined>
  list(): Promise<Image[]>
  /** Fetches from the reference's registry; concurrent pulls of one reference share the work. Throws ImageError. */
  pull(reference: string, options?: { credentials?: Credentials[]; signal?: AbortSignal }): Promise<Image>
  /** An OCI or docker archive (tar, tar.gz, tar.zst). Returns every image in it. Throws ImageError and leaves nothing behind. */
  import(file: string, options?: { name?: string; signal?: AbortSignal }): Promise<Image[]>
  /** Removes a name, and what no other name needs; refused (false) while `inUse` says so. */
  remove(reference: string): Promise<boolean>
  /** Layers that running containers use must be held against removal; returns the release. */
  hold(id: string): () => void
}
