// The words in which the server and a node's agent speak of that node's own volumes (driver `local.coracle.dev`).
// The PersistentVolume is there first: it is the intent. The agent of its node makes what it stands for and writes
// down how large that is; a finalizer keeps the object until the agent has taken it away again.

import { createHash } from 'node:crypto'
import type { PersistentVolume } from './types/core-v1.gen.ts'

export const localDriver = 'local.coracle.dev'

/** Of a PersistentVolume: whose it is. A node sees those that carry its own. */
export const nodeLabel = `${localDriver}/node`
/** Bytes that the volume has on its node; absent: it is not made yet. Written by the agent. */
export const sizeAnnotation = `${localDriver}/size`
/** Why the agent cannot make it, or make it larger. */
export const problemAnnotation = `${localDriver}/problem`
/** Gone once nothing of the volume is left on its node. */
export const localFinalizer = `${localDriver}/volume`

/** A label holds 63 characters, the name of a node may have more. */
export const nodeLabelOf = (node: string): string =>
  node.length <= 63 ? node : createHash('sha256').update(node).digest('hex').slice(0, 63)

export const volumesOfNode = (node: string): string => `${nodeLabel}=${nodeLabelOf(node)}`

export const isLocalVolume = ({ spec }: PersistentVolume): boolean => spec.csi?.driver === localDriver

/** Bytes; undefined: its node has not made it yet. */
export function sizeOf({ metadata }: PersistentVolume): number | undefined {
  const text = metadata.annotations?.[sizeAnnotation]
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}
