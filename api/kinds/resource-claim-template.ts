import { ResourceClaimTemplate } from './index.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import { defaultDevices, validateDevices } from './rules/device-request.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

export const resourceClaimTemplate: KindSpec<ResourceClaimTemplate> = {
  kind: ResourceClaimTemplate,
  singular: 'resourceclaimtemplate',
  nameRule: isDns1123Subdomain,
  columns: [nameColumn, ageColumn],
  defaults({ spec }) {
    defaultDevices(spec?.spec?.devices)
  },
  validate({ spec }, faults) {
    if (spec?.spec?.devices) validateDevices('spec.spec.devices', spec.spec.devices, faults)
  },
  validateUpdate(next, previous, faults) {
    faults.immutable('spec', next.spec, previous.spec)
  },
}
