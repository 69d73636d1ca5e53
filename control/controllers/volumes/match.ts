// Which volume a claim may have.

import { compareQuantity } from '#api/quantity.ts'
import { selectorMatcher } from '#api/selector/label.ts'
import type { PersistentVolume, PersistentVolumeClaim } from '#api/types/core-v1.gen.ts'
import { classOfClaim, classOfVolume } from './words.ts'

const sizeOf = ({ spec }: PersistentVolume): string => spec.capacity?.['storage'] ?? '0'
export const wantedBy = ({ spec }: PersistentVolumeClaim): string => spec.resources?.requests?.['storage'] ?? '0'

const modeOf = (mode: string | undefined): string => mode ?? 'Filesystem'

const isLargeEnough = (volume: PersistentVolume, claim: PersistentVolumeClaim) => compareQuantity(sizeOf(volume), wantedBy(claim)) >= 0

export const sameMode = (volume: PersistentVolume, claim: PersistentVolumeClaim): boolean =>
  modeOf(volume.spec.volumeMode) === modeOf(claim.spec.volumeMode)

const hasAccess = (volume: PersistentVolume, claim: PersistentVolumeClaim): boolean =>
  (claim.spec.accessModes ?? []).every((mode) => volume.spec.accessModes?.includes(mode))

/** Why the claim cannot have the very volume that it names; undefined: it can. */
export function mismatch(volume: PersistentVolume, claim: PersistentVolumeClaim): string | undefined {
  if (!isLargeEnough(volume, claim)) return 'requested PV is too small'
  if (classOfVolume(volume) !== (classOfClaim(claim) ?? '')) return 'storageClassName does not match'
  if (!sameMode(volume, claim)) return 'incompatible volumeMode'
  return hasAccess(volume, claim) ? undefined : 'incompatible accessMode'
}

/** The volume that is kept for the claim already, where it will do. */
export const reservedFor = (claim: PersistentVolumeClaim, reserved: readonly PersistentVolume[]): PersistentVolume | undefined =>
  reserved.find((volume) => !volume.metadata.deletionTimestamp && sameMode(volume, claim) && isLargeEnough(volume, claim))

/** The smallest of those that nobody has and that will do; of equals the first by name. */
export function bestOf(claim: PersistentVolumeClaim, free: Iterable<PersistentVolume>): PersistentVolume | undefined {
  const { selector } = claim.spec
  const selects = selector ? selectorMatcher(selector) : () => true
  const wanted = classOfClaim(claim) ?? ''
  let best: PersistentVolume | undefined
  for (const volume of free) {
    const { metadata, spec, status } = volume
    if (spec.claimRef || metadata.deletionTimestamp || status?.phase !== 'Available') continue
    if (classOfVolume(volume) !== wanted || !sameMode(volume, claim) || !hasAccess(volume, claim)) continue
    if (!isLargeEnough(volume, claim) || !selects(metadata.labels ?? {})) continue
    const order = best ? compareQuantity(sizeOf(volume), sizeOf(best)) : -1
    if (order < 0 || (order === 0 && best && metadata.name < best.metadata.name)) best = volume
  }
  return best
}
