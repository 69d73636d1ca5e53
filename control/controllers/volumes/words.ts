// Annotations and finalizers by which Kubernetes' binder, its scheduler and the provisioners of others agree.

import type { PersistentVolume, PersistentVolumeClaim } from '#api/types/core-v1.gen.ts'

/** Of a claim: it was bound, so a volume that is missing now is lost. */
export const bindCompleted = 'pv.kubernetes.io/bind-completed'
/** Of a claim or volume: the binder chose the other, and may let go of it again. */
export const boundByController = 'pv.kubernetes.io/bound-by-controller'
/** Of a volume: who made it. */
export const provisionedBy = 'pv.kubernetes.io/provisioned-by'
/** Of a claim: who is to make its volume, in its name of today and of old. */
export const storageProvisioner = 'volume.kubernetes.io/storage-provisioner'
export const storageProvisionerBeta = 'volume.beta.kubernetes.io/storage-provisioner'
/** Of a claim: the node on which its first pod will be. */
export const selectedNode = 'volume.kubernetes.io/selected-node'
/** The class of an object of old, before there was a field. */
export const classAnnotation = 'volume.beta.kubernetes.io/storage-class'

export const claimProtection = 'kubernetes.io/pvc-protection'
export const volumeProtection = 'kubernetes.io/pv-protection'

export const isMarked = ({ metadata }: PersistentVolume | PersistentVolumeClaim, annotation: string): boolean =>
  metadata.annotations?.[annotation] !== undefined

/** '' : none at all; undefined: whichever is the default one. */
export const classOfClaim = ({ metadata, spec }: PersistentVolumeClaim): string | undefined =>
  metadata.annotations?.[classAnnotation] ?? spec.storageClassName

export const classOfVolume = ({ metadata, spec }: PersistentVolume): string =>
  metadata.annotations?.[classAnnotation] ?? spec.storageClassName ?? ''

export const refersTo = ({ spec: { claimRef } }: PersistentVolume, { metadata }: PersistentVolumeClaim): boolean =>
  claimRef !== undefined &&
  claimRef.namespace === metadata.namespace &&
  claimRef.name === metadata.name &&
  (!claimRef.uid || claimRef.uid === metadata.uid)
