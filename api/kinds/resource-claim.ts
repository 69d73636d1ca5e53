import { ResourceClaim } from './index.ts'
import { validateClaimStatus } from './rules/claim-status.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import { defaultDevices, validateDevices } from './rules/device-request.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

function stateText({ metadata, status }: ResourceClaim): string {
  const deleted = metadata.deletionTimestamp ? ['deleted'] : []
  if (!status?.allocation) return deleted[0] ?? 'pending'
  return [...deleted, 'allocated', ...(status.reservedFor?.length ? ['reserved'] : [])].join(',')
}

export const resourceClaim: KindSpec<ResourceClaim> = {
  kind: ResourceClaim,
  singular: 'resourceclaim',
  status: true,
  statusMeta: [],
  nameRule: isDns1123Subdomain,
  columns: [nameColumn, { name: 'State', cell: stateText }, ageColumn],
  defaults({ spec }) {
    defaultDevices(spec?.devices)
  },
  prepareCreate(claim) {
    claim.status = {}
  },
  validate({ spec }, faults) {
    if (spec?.devices) validateDevices('spec.devices', spec.devices, faults)
  },
  validateUpdate(next, previous, faults, subresource) {
    faults.immutable('spec', next.spec, previous.spec)
    if (subresource === 'status') validateClaimStatus(next, previous, faults)
  },
}
