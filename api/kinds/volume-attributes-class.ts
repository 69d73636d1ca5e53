import { VolumeAttributesClass } from './index.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import { isDns1123Subdomain, isQualifiedName } from './rules/names.ts'
import type { KindSpec } from './spec.ts'
import { validateParameters } from './storage-class.ts'

const defaultAnnotation = 'volumeattributesclass.alpha.kubernetes.io/is-default-class'

export const volumeAttributesClass: KindSpec<VolumeAttributesClass> = {
  kind: VolumeAttributesClass,
  singular: 'volumeattributesclass',
  shortNames: ['vac'],
  nameRule: isDns1123Subdomain,
  columns: [
    {
      ...nameColumn,
      cell: ({ metadata: { name, annotations } }) => (annotations?.[defaultAnnotation] === 'true' ? `${name} (default)` : name),
    },
    { name: 'DriverName', cell: (c) => c.driverName },
    ageColumn,
  ],
  validate(c, faults) {
    if (!c.driverName) faults.required('driverName')
    else faults.each('driverName', c.driverName, isQualifiedName(c.driverName.toLowerCase()))
    if (Object.keys(c.parameters ?? {}).length === 0) faults.required('parameters', 'must contain at least one key/value pair')
    validateParameters(c.parameters, faults)
  },
  validateUpdate(next, previous, faults) {
    faults.immutable('driverName', next.driverName, previous.driverName)
    faults.immutable('parameters', next.parameters, previous.parameters)
  },
}
