import type { CSINodeDriver } from '../types/storage-v1.gen.ts'
import { isDriverName } from './csi-driver.ts'
import { CSINode } from './index.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import { type Faults, repeats, same } from './rules/faults.ts'
import { isDns1123Subdomain, isQualifiedName } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

const longestNodeId = 256

export const csiNode: KindSpec<CSINode> = {
  kind: CSINode,
  singular: 'csinode',
  nameRule: isDns1123Subdomain,
  columns: [nameColumn, { name: 'Drivers', type: 'integer', cell: (n) => n.spec.drivers?.length ?? 0 }, ageColumn],
  validate({ spec }, faults) {
    const names = new Set<string>()
    for (const [i, driver] of (spec?.drivers ?? []).entries()) {
      validateDriver(`spec.drivers[${i}]`, driver, faults)
      if (names.has(driver.name)) faults.duplicate(`spec.drivers[${i}].name`, driver.name)
      names.add(driver.name)
    }
  },
  validateUpdate(next, previous, faults) {
    for (const driver of next.spec.drivers ?? []) {
      const before = previous.spec.drivers?.find((d) => d.name === driver.name)
      if (before && !same(driver, before)) faults.invalid('CSINodeDriver', driver, 'field is immutable')
    }
  },
}

function validateDriver(at: string, { name, nodeID, topologyKeys, allocatable }: CSINodeDriver, faults: Faults): void {
  if (!name) faults.required(`${at}.name`)
  else faults.each(`${at}.name`, name, isDriverName(name))
  if (!nodeID) faults.required(`${at}.nodeID`)
  else if (nodeID.length > longestNodeId) faults.invalid(`${at}.nodeID`, nodeID, `must be ${longestNodeId} characters or less`)
  faults.notNegative(`${at}.allocatable.count`, allocatable?.count)
  const repeated = repeats()
  for (const [i, key] of (topologyKeys ?? []).entries()) {
    if (!key) faults.required(`${at}.topologyKeys[${i}]`)
    else faults.each(`${at}.topologyKeys[${i}]`, key, isQualifiedName(key))
    if (repeated(key)) faults.duplicate(`${at}.topologyKeys[${i}]`, key)
  }
}
