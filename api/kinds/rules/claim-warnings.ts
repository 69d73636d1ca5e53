// What is odd about volumes and claims, and is kept all the same.

import type { PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimSpec } from '../../types/core-v1.gen.ts'
import { isWholeAmount } from './container-resources.ts'
import { termWarnings } from './node-labels.ts'
import { oldVolumes } from './volume-sources.ts'

const classKey = 'volume.beta.kubernetes.io/storage-class'
const optionsKey = 'volume.beta.kubernetes.io/mount-options'
const oldClass = `metadata.annotations[${classKey}]: deprecated since v1.8; use "storageClassName" attribute instead`

export function* claimSpecWarnings(at: string, { resources }: PersistentVolumeClaimSpec): Generator<string> {
  for (const list of ['requests', 'limits'] as const) {
    const amount = resources?.[list]?.storage
    if (amount !== undefined && !isWholeAmount(amount))
      yield `${at}.resources.${list}[storage]: fractional byte value ${JSON.stringify(amount)} is invalid, must be an integer`
  }
}

export function* claimWarnings({ metadata, spec }: PersistentVolumeClaim): Generator<string> {
  if (metadata.annotations?.[classKey] !== undefined) yield oldClass
  yield* claimSpecWarnings('spec', spec)
}

export function* volumeWarnings({ metadata, spec }: PersistentVolume): Generator<string> {
  if (metadata.annotations?.[classKey] !== undefined) yield oldClass
  if (metadata.annotations?.[optionsKey] !== undefined)
    yield `metadata.annotations[${optionsKey}]: deprecated since v1.31; use "mountOptions" attribute instead`
  for (const [i, term] of (spec.nodeAffinity?.required?.nodeSelectorTerms ?? []).entries())
    yield* termWarnings(`spec.nodeAffinity.required.nodeSelectorTerms[${i}]`, term, false)
  if (spec.persistentVolumeReclaimPolicy === 'Recycle')
    yield 'spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.'
  for (const kind in spec) {
    const why = oldVolumes.get(kind)
    if (why) yield `spec.${kind === 'storageos' ? 'storageOS' : kind}: ${why}`
  }
}
