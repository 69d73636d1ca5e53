import type { Lease as LeaseType } from '../types/coordination-v1.gen.ts'
import { ageColumn, nameColumn } from './columns.ts'
import { Lease } from './index.ts'
import { isDns1123Subdomain } from './names.ts'
import type { KindSpec } from './spec.ts'

export const lease: KindSpec<LeaseType> = {
  kind: Lease,
  singular: 'lease',
  nameRule: isDns1123Subdomain,
  // An idle cluster renews leases every few seconds for ever: they must not wear out a memory card.
  ephemeral: true,
  columns: [
    nameColumn,
    { name: 'Holder', description: 'The identity of the holder of the lease.', cell: (l) => l.spec?.holderIdentity ?? '' },
    ageColumn,
  ],
  validate(l, faults) {
    faults.positive('spec.leaseDurationSeconds', l.spec?.leaseDurationSeconds)
    faults.notNegative('spec.leaseTransitions', l.spec?.leaseTransitions)
  },
}
