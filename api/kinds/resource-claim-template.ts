import type { ResourceClaimTemplate as TemplateType } from '../types/resource-v1.gen.ts'
import { ageColumn, nameColumn } from './columns.ts'
import { defaultDevices, validateDevices } from './device-request.ts'
import { ResourceClaimTemplate } from './index.ts'
import { isDns1123Subdomain } from './names.ts'
import type { KindSpec } from './spec.ts'

export const resourceClaimTemplate: KindSpec<TemplateType> = {
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
