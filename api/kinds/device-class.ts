import type { DeviceClass as DeviceClassType } from '../types/resource-v1.gen.ts'
import { DeviceClass } from './index.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import { validateOpaque, validateSelectors } from './rules/device-request.ts'
import { isDns1123Subdomain, isQualifiedName } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

export const deviceClass: KindSpec<DeviceClassType> = {
  kind: DeviceClass,
  singular: 'deviceclass',
  generation: true,
  nameRule: isDns1123Subdomain,
  columns: [nameColumn, ageColumn],
  validate({ spec }, faults) {
    validateSelectors('spec.selectors', spec?.selectors, faults)
    for (const [i, { opaque }] of (spec?.config ?? []).entries()) validateOpaque(`spec.config[${i}]`, opaque, faults)
    const extended = spec?.extendedResourceName
    if (extended !== undefined) faults.each('spec.extendedResourceName', extended, isQualifiedName(extended))
  },
}
