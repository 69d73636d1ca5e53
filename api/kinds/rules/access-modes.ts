// How a volume may be used, as volumes and claims say it.

import type { Faults } from './faults.ts'

const short: Record<string, string> = { ReadWriteOnce: 'RWO', ReadOnlyMany: 'ROX', ReadWriteMany: 'RWX', ReadWriteOncePod: 'RWOP' }

/** `RWO,ROX`, in Kubernetes' order and each once. */
export const accessModesText = (modes: readonly string[] | undefined): string =>
  Object.entries(short)
    .filter(([mode]) => modes?.includes(mode))
    .map(([, text]) => text)
    .join(',')

export function validateAccessModes(field: string, modes: readonly string[] | undefined, missing: string, faults: Faults): void {
  if (!modes?.length) return faults.required(field, missing)
  for (const mode of modes) faults.oneOf(field, mode, ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'])
  if (modes.includes('ReadWriteOncePod') && modes.some((mode) => mode !== 'ReadWriteOncePod' && short[mode]))
    faults.forbidden(field, 'may not use ReadWriteOncePod with other access modes')
}

export function validateVolumeMode(field: string, mode: string | undefined, faults: Faults): void {
  if (mode !== undefined) faults.oneOf(field, mode, ['Block', 'Filesystem'])
}

/** The class of a volume or claim; the annotation is older than the field and still wins. */
export function storageClassOf(object: {
  metadata: { annotations?: Record<string, string> }
  spec: { storageClassName?: string }
}): string {
  return object.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? object.spec.storageClassName ?? ''
}
