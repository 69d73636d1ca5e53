import { StorageClass } from './index.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import { isDefaultClass } from './rules/default-class.ts'
import { type Faults, repeats, same } from './rules/faults.ts'
import { isDns1123Subdomain, isQualifiedName } from './rules/names.ts'
import { labelDeprecation } from './rules/node-labels.ts'
import type { KindSpec } from './spec.ts'

const most = { parameters: 512, bytes: 256 * 1024 }

export const storageClass: KindSpec<StorageClass> = {
  kind: StorageClass,
  singular: 'storageclass',
  shortNames: ['sc'],
  nameRule: isDns1123Subdomain,
  columns: [
    {
      ...nameColumn,
      cell: (c) => (isDefaultClass(c) ? `${c.metadata.name} (default)` : c.metadata.name),
    },
    { name: 'Provisioner', cell: (c) => c.provisioner },
    { name: 'ReclaimPolicy', cell: (c) => c.reclaimPolicy ?? 'Delete' },
    { name: 'VolumeBindingMode', cell: (c) => c.volumeBindingMode ?? 'Immediate' },
    { name: 'AllowVolumeExpansion', cell: (c) => c.allowVolumeExpansion ?? false },
    ageColumn,
  ],
  defaults(c) {
    c.reclaimPolicy ??= 'Delete'
    c.volumeBindingMode ??= 'Immediate'
  },
  *warnings({ allowedTopologies }) {
    for (const [i, { matchLabelExpressions = [] }] of (allowedTopologies ?? []).entries()) {
      for (const [j, { key }] of matchLabelExpressions.entries()) {
        const why = labelDeprecation(key)
        if (why) yield `allowedTopologies[${i}].matchLabelExpressions[${j}].key: ${key} is ${why}`
      }
    }
  },
  validate(c, faults) {
    if (!c.provisioner) faults.required('provisioner')
    else faults.each('provisioner', c.provisioner, isQualifiedName(c.provisioner.toLowerCase()))
    validateParameters(c.parameters, faults)
    if (c.reclaimPolicy) faults.oneOf('reclaimPolicy', c.reclaimPolicy, ['Delete', 'Retain'])
    faults.oneOf('volumeBindingMode', c.volumeBindingMode, ['Immediate', 'WaitForFirstConsumer'])
    validateTopologies(c.allowedTopologies, faults)
  },
  validateUpdate(next, previous, faults) {
    if (!same(next.parameters, previous.parameters)) faults.forbidden('parameters', 'updates to parameters are forbidden.')
    if (next.provisioner !== previous.provisioner) faults.forbidden('provisioner', 'updates to provisioner are forbidden.')
    if (next.reclaimPolicy !== previous.reclaimPolicy) faults.forbidden('reclaimPolicy', 'updates to reclaimPolicy are forbidden.')
    faults.immutable('volumeBindingMode', next.volumeBindingMode, previous.volumeBindingMode)
  },
}

export function validateParameters(parameters: Record<string, string> | undefined, faults: Faults): void {
  const all = Object.entries(parameters ?? {})
  if (all.length > most.parameters) faults.tooLong('parameters', most.parameters)
  let bytes = 0
  for (const [key, value] of all) {
    if (key === '') faults.invalid('parameters', key, 'field can not be empty.')
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value)
  }
  if (bytes > most.bytes) faults.tooLong('parameters', most.bytes)
}

function validateTopologies(topologies: StorageClass['allowedTopologies'], faults: Faults): void {
  for (const [i, { matchLabelExpressions = [] }] of (topologies ?? []).entries()) {
    const keys = new Set<string>()
    for (const [j, { key, values }] of matchLabelExpressions.entries()) {
      const at = `allowedTopologies[${i}].matchLabelExpressions[${j}]`
      faults.each(`${at}.key`, key, isQualifiedName(key))
      if (keys.has(key)) faults.duplicate(`${at}.key`, key)
      keys.add(key)
      if (!values?.length) faults.required(`${at}.values`)
      const repeated = repeats()
      for (const [k, value] of (values ?? []).entries()) if (repeated(value)) faults.duplicate(`${at}.values[${k}]`, value)
    }
  }
}
