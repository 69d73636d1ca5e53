// What a kind of volume has to do on a node, in CSI's words: stage it once for the node, publish it to each
// pod that uses it, and the way back. The registry (volumes.ts) calls a driver, keeps who uses what on disk
// before it acts, and never runs two calls for one volume at a time.
//
// Every call is idempotent, and may follow one that was killed between any two of its steps: publish after
// a half-made publish makes the whole, unpublish of what was never made does nothing. A driver remembers
// nothing but what the file system and the mount table show.

import type { PersistentVolume, Pod, Volume } from '#api/types/core-v1.gen.ts'
import type { Standing } from './downward.ts'

/** A pod's own volume, or the persistent volume that its claim is bound to. */
export type VolumeSpec = {
  /** As containers mount it. */
  name: string
  /** The field that says what it is, e.g. `configMap`, `nfs`, `csi`: the name by which a driver is found. */
  type: string
  volume: Volume
  persistentVolume?: PersistentVolume
}

export type PublishRequest = {
  pod: Pod
  spec: VolumeSpec
  standing: Standing
  /** Of the volume in the pod's own folder, for the driver to make: its parent is there. */
  target: string
  /** Where it was staged, if the driver stages it. */
  staged?: string
  signal?: AbortSignal
}

/** What containers mount, and when (monotonic ms) to publish again because it grows old. */
export type Published = { path: string; refreshAt?: number }

/** In bytes and inodes, as NodeGetVolumeStats. */
export type VolumeStats = {
  capacityBytes: number
  availableBytes: number
  usedBytes: number
  inodes: number
  inodesFree: number
  inodesUsed: number
}

export interface VolumeDriver {
  readonly types: readonly string[]
  /** What identifies the volume on this node, where pods share it: then it is staged. Undefined: it is its pod's alone. */
  idOf?(spec: VolumeSpec): string | undefined
  /** Brings a shared volume to this node, into `staged`, a folder that is there and empty at first. */
  stage?(spec: VolumeSpec, staged: string, signal?: AbortSignal): Promise<void>
  /** Takes it away again. Only what is left of `staged` tells the driver what it was. */
  unstage?(id: string, staged: string): Promise<void>
  /** Throws VolumeError, with what was made left for the next call. */
  publish(request: PublishRequest): Promise<Published>
  /** `target` is gone then, and its content with it where that is the pod's own. */
  unpublish(target: string, uid: string): Promise<void>
  /** Makes the file system at `path` as large as its device, or `bytes`. Absent: it cannot grow. */
  expand?(spec: VolumeSpec, path: string, bytes: number): Promise<void>
  /** Of a published path; undefined where the volume is not counted. */
  stats(path: string): Promise<VolumeStats | undefined>
  /** Ids of what the driver keeps on this node, used or not. Absent: nothing outlives its pods. */
  list?(): Promise<string[]>
  /** Once, before any other call of this process: brings order into what an earlier one was killed over. */
  recover?(): Promise<void>
}
