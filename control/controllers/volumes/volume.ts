// What a volume needs next, told from the volume and the claim that it is kept for. The claim is as the server has it
// now, not as a cache has it: what is reclaimed does not come back.

import { isLocalVolume } from '#api/local-volumes.ts'
import type { PersistentVolume, PersistentVolumeClaim } from '#api/types/core-v1.gen.ts'
import type { Told } from './claim.ts'
import { sameMode } from './match.ts'
import { isMarked, provisionedBy } from './words.ts'

export type VolumeMove =
  | { do: 'phase'; phase: 'Available' | 'Bound' | 'Released' | 'Failed'; message?: string }
  | ({ do: 'tell' } & Told)
  /** Nobody is its own any more: another may have it. */
  | { do: 'free' }
  /** The object goes; what it stands for goes with it. */
  | { do: 'delete' }

/** `claim`: what bears the name in claimRef; undefined: nothing does. */
export function planVolume(volume: PersistentVolume, claim: PersistentVolumeClaim | undefined): VolumeMove[] {
  const { claimRef } = volume.spec
  const { phase } = volume.status ?? {}
  const become = (next: 'Available' | 'Bound' | 'Released'): VolumeMove[] => (phase === next ? [] : [{ do: 'phase', phase: next }])
  if (!claimRef?.uid) return become('Available')
  if (!claim || claim.metadata.uid !== claimRef.uid) return released(volume)
  if (claim.spec.volumeName === volume.metadata.name) return become('Bound')
  if (!claim.spec.volumeName) {
    if (sameMode(volume, claim)) return []
    const message = `Cannot bind PersistentVolume to requested PersistentVolumeClaim ${JSON.stringify(claim.metadata.name)} due to incompatible volumeMode.`
    return [{ do: 'tell', type: 'Warning', reason: 'VolumeMismatch', message }]
  }
  // The claim has another. What was made for it is of no use to anybody; what was found for it is free again.
  if (isMarked(volume, provisionedBy) && volume.spec.persistentVolumeReclaimPolicy === 'Delete') return released(volume)
  return [...become('Available'), { do: 'free' }]
}

function released(volume: PersistentVolume): VolumeMove[] {
  const { spec, status, metadata } = volume
  const moves: VolumeMove[] = status?.phase === 'Released' || status?.phase === 'Failed' ? [] : [{ do: 'phase', phase: 'Released' }]
  if (metadata.deletionTimestamp || status?.phase === 'Failed') return moves
  const failed = (reason: string, message: string): VolumeMove[] => [
    { do: 'phase', phase: 'Failed', message },
    { do: 'tell', type: 'Warning', reason, message },
  ]
  if (spec.persistentVolumeReclaimPolicy === 'Recycle') return failed('VolumeFailedRecycle', 'No recycler plugin found for the volume!')
  if (spec.persistentVolumeReclaimPolicy !== 'Delete') return moves
  if (isLocalVolume(volume)) return [...moves, { do: 'delete' }]
  // Who made it takes it away, once it is Released.
  if (isMarked(volume, provisionedBy) || spec.csi) return moves
  return failed(
    'VolumeFailedDelete',
    `error getting deleter volume plugin for volume ${JSON.stringify(metadata.name)}: no deletable volume plugin matched`,
  )
}
