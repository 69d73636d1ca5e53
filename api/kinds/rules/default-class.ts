// Which StorageClass is meant where a claim names none.

import type { StorageClass } from '../../types/storage-v1.gen.ts'

const annotations = ['storageclass.kubernetes.io/is-default-class', 'storageclass.beta.kubernetes.io/is-default-class']

export const isDefaultClass = ({ metadata }: StorageClass): boolean => annotations.some((key) => metadata.annotations?.[key] === 'true')

/** Of several that claim to be it the newest, as Kubernetes has it. */
export function defaultClassOf(classes: Iterable<StorageClass>): StorageClass | undefined {
  let found: StorageClass | undefined
  for (const each of classes) {
    if (!isDefaultClass(each)) continue
    const [time, before] = [each.metadata.creationTimestamp ?? '', found?.metadata.creationTimestamp ?? '']
    if (!found || time > before || (time === before && each.metadata.name < found.metadata.name)) found = each
  }
  return found
}
