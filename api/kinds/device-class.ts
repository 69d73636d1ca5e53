import { DeviceClass } from './index.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import { validateOpaque, validateSelectors } from './rules/device-request.ts'
import { isDns1123Subdomain, isQualifiedName } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

export const deviceClass: KindSpec<DeviceClass> = {
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
