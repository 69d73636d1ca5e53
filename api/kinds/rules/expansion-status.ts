// What the status of a PersistentVolumeClaim may say of its size (pkg/apis/core/validation).

import { compareQuantity } from '../../quantity.ts'
import type { PersistentVolumeClaimStatus } from '../../types/core-v1.gen.ts'
import type { Faults } from './faults.ts'
import { isQualifiedName } from './names.ts'

const states = [
  'ControllerResizeInProgress',
  'ControllerResizeInfeasible',
  'NodeResizeInProgress',
  'NodeResizeInfeasible',
  'NodeResizePending',
]

export function validateClaimSizes(status: PersistentVolumeClaimStatus | undefined, faults: Faults): void {
  const amounts = (field: string, given: Record<string, string> | undefined, isKnown: (name: string) => boolean) => {
    for (const [name, amount] of Object.entries(given ?? {}))
      if (isKnown(name) && compareQuantity(amount, '0') < 0)
        faults.invalid(`${field}[${name}]`, amount, 'must be a valid resource quantity')
  }
  amounts('status.capacity', status?.capacity, () => true)
  amounts('status.allocatedResources', status?.allocatedResources, (name) => validateKey('status.allocatedResources', name, faults))
  const field = 'status.allocatedResourceStatuses'
  for (const [name, state] of Object.entries(status?.allocatedResourceStatuses ?? {})) {
    validateKey(field, name, faults)
    // As Kubernetes does, which names the resource there.
    if (!states.includes(state)) faults.notSupported(field, name, states)
  }
}

/** Of Kubernetes' own resources, `storage`. */
function validateKey(field: string, name: string, faults: Faults): boolean {
  const wrong = isQualifiedName(name)
  faults.each(field, name, wrong)
  const isNative = !name.includes('/') || name.includes('kubernetes.io/')
  if (wrong.length === 0 && isNative && name !== 'storage') faults.notSupported(field, name, ['storage'])
  return wrong.length === 0 && (!isNative || name === 'storage')
}
