// What a claim gets from its StorageClass as it is written: the default class where it names none, and whether it may
// grow.

import { StorageClass } from '#api/kinds/index.ts'
import { compareQuantity } from '#api/quantity.ts'
import type { PersistentVolumeClaim } from '#api/types/core-v1.gen.ts'
import { type Admission, forbidden, isKind } from './admission.ts'
import type { Find } from './find.ts'

type StorageDeps = {
  find: Find
  /** The class that is meant where none is named; a moment old at worst. */
  standard(this: void): StorageClass | undefined
}

const ofOld = 'volume.beta.kubernetes.io/storage-class'

export const storageClasses = ({ find, standard }: StorageDeps): Admission => ({
  name: 'StorageClass',
  mutate(review) {
    if (review.operation !== 'CREATE' || review.subresource !== '' || !isKind(review, '', 'PersistentVolumeClaim')) return
    const { spec, metadata } = review.object as PersistentVolumeClaim
    if (!spec || spec.storageClassName !== undefined || metadata.annotations?.[ofOld] !== undefined) return
    const found = standard()
    if (found) spec.storageClassName = found.metadata.name
  },
  async validate(review) {
    if (review.operation !== 'UPDATE' || review.subresource !== '' || !isKind(review, '', 'PersistentVolumeClaim')) return
    const [before, after] = [review.previous, review.object] as PersistentVolumeClaim[]
    const sizeOf = (claim: PersistentVolumeClaim | undefined) => claim?.spec?.resources?.requests?.['storage'] ?? '0'
    if (compareQuantity(sizeOf(after), sizeOf(before)) <= 0) return
    if (before?.status?.phase !== 'Bound') throw forbidden(review, 'Only bound persistent volume claims can be expanded')
    const name = after?.metadata.annotations?.[ofOld] ?? after?.spec.storageClassName
    const found = name ? await find(StorageClass, { name }) : undefined
    if (!found?.allowVolumeExpansion)
      throw forbidden(
        review,
        'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
      )
  },
})
