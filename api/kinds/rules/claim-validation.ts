// Rules for what a claim asks for, in claims and in the templates of ephemeral volumes.

import { compareQuantity } from '../../quantity.ts'
import type { PersistentVolumeClaimSpec } from '../../types/core-v1.gen.ts'
import { validateAccessModes, validateVolumeMode } from './access-modes.ts'
import { type Faults, same } from './faults.ts'
import { isDns1123Label, isDns1123Subdomain } from './names.ts'
import { validateLabelSelector } from './workload.ts'

export function validateClaimSpec(at: string, spec: PersistentVolumeClaimSpec, faults: Faults): void {
  validateAccessModes(`${at}.accessModes`, spec.accessModes, 'at least 1 access mode is required', faults)
  if (spec.selector) validateLabelSelector(`${at}.selector`, spec.selector, faults)
  const storage = spec.resources?.requests?.storage
  if (storage === undefined) faults.required(`${at}.resources[storage]`)
  else if (compareQuantity(storage, '0') <= 0) faults.invalid(`${at}.resources[storage]`, storage, 'must be greater than zero')
  for (const field of ['storageClassName', 'volumeAttributesClassName'] as const) {
    const name = spec[field]
    if (name) faults.each(`${at}.${field}`, name, isDns1123Subdomain(name))
  }
  validateVolumeMode(`${at}.volumeMode`, spec.volumeMode, faults)
  validateData(at, spec, faults)
}

function validateData(at: string, { dataSource, dataSourceRef }: PersistentVolumeClaimSpec, faults: Faults): void {
  for (const [name, source] of [['dataSource', dataSource] as const, ['dataSourceRef', dataSourceRef] as const]) {
    if (!source) continue
    const here = `${at}.${name}`
    if (!source.name) faults.required(`${here}.name`)
    if (!source.kind) faults.required(`${here}.kind`)
    if (source.apiGroup) faults.each(`${here}.apiGroup`, source.apiGroup, isDns1123Subdomain(source.apiGroup))
    else if (source.kind !== 'PersistentVolumeClaim')
      faults.invalid(here, source.kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup")
  }
  if (dataSourceRef?.namespace)
    faults.each(`${at}.dataSourceRef.namespace`, dataSourceRef.namespace, isDns1123Label(dataSourceRef.namespace))
  if (!dataSource || !dataSourceRef) return
  const plain = ({ apiGroup, kind, name }: { apiGroup?: string; kind: string; name: string }) => ({
    apiGroup: apiGroup || undefined,
    kind,
    name,
  })
  if (dataSourceRef.namespace) faults.invalid(at, `${at}.dataSource`, 'may not be specified when dataSourceRef.namespace is specified')
  else if (!same(plain(dataSource), plain(dataSourceRef))) faults.invalid(at, `${at}.dataSource`, 'must match dataSourceRef')
}
