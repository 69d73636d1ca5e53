import { compareQuantity } from '../quantity.ts'
import { CSIStorageCapacity } from './index.ts'
import { nameColumn } from './rules/columns.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import { labelDeprecation } from './rules/node-labels.ts'
import { validateLabelSelector } from './rules/workload.ts'
import type { KindSpec } from './spec.ts'

export const csiStorageCapacity: KindSpec<CSIStorageCapacity> = {
  kind: CSIStorageCapacity,
  singular: 'csistoragecapacity',
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    { name: 'StorageClassName', cell: (c) => c.storageClassName },
    { name: 'Capacity', cell: (c) => c.capacity ?? '<unset>' },
  ],
  *warnings({ nodeTopology }) {
    for (const [i, { key }] of (nodeTopology?.matchExpressions ?? []).entries()) {
      const why = labelDeprecation(key)
      if (why) yield `nodeTopology.matchExpressions[${i}].key: ${key} is ${why}`
    }
    for (const key of Object.keys(nodeTopology?.matchLabels ?? {})) {
      const why = labelDeprecation(key)
      if (why) yield `nodeTopology.matchLabels.${key}: ${why}`
    }
  },
  validate(c, faults) {
    if (c.nodeTopology) validateLabelSelector('nodeTopology', c.nodeTopology, faults)
    faults.each('storageClassName', c.storageClassName, isDns1123Subdomain(c.storageClassName))
    for (const field of ['capacity', 'maximumVolumeSize'] as const) {
      const amount = c[field]
      if (amount !== undefined && compareQuantity(amount, '0') < 0) faults.invalid(field, amount, 'must be greater than or equal to 0')
    }
  },
  validateUpdate(next, previous, faults) {
    faults.immutable('nodeTopology', next.nodeTopology, previous.nodeTopology)
    faults.immutable('storageClassName', next.storageClassName, previous.storageClassName)
  },
}
