import { ConfigMap } from './index.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import type { Faults } from './rules/faults.ts'
import { validateFrozen } from './rules/meta.ts'
import { isConfigKey, isDns1123Subdomain } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

/** Of all values together. */
export const mostBytes = 1024 * 1024

export const configMap: KindSpec<ConfigMap> = {
  kind: ConfigMap,
  singular: 'configmap',
  shortNames: ['cm'],
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    {
      name: 'Data',
      type: 'integer',
      description: 'Data contains the configuration data.',
      cell: (map) => Object.keys(map.data ?? {}).length + Object.keys(map.binaryData ?? {}).length,
    },
    ageColumn,
  ],
  validate(map, faults) {
    for (const key of Object.keys((map.binaryData && map.data) ?? {})) {
      if (Object.hasOwn(map.binaryData ?? {}, key)) faults.invalid(`data[${key}]`, key, 'duplicate of key present in binaryData')
    }
    const text = validateKeys('data', map.data, (value) => Buffer.byteLength(value), faults)
    const binary = validateKeys('binaryData', map.binaryData, (value) => (value.length / 4) * 3, faults)
    if (text + binary > mostBytes) faults.tooLong('[]', mostBytes)
  },
  validateUpdate: validateFrozen,
}

/** Returns the size of all values. */
export function validateKeys(
  field: string,
  data: Record<string, string> | undefined,
  bytesOf: (value: string) => number,
  faults: Faults,
): number {
  let bytes = 0
  for (const key of Object.keys(data ?? {})) {
    if (faults.isFull) break
    const wrong = isConfigKey(key)
    if (wrong.length > 0) faults.each(`${field}[${key}]`, key, wrong)
    bytes += bytesOf(data?.[key] ?? '')
  }
  return bytes
}
