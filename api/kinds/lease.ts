import { Lease } from './index.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import { isDns1123Subdomain, isQualifiedName } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

export const lease: KindSpec<Lease> = {
  kind: Lease,
  singular: 'lease',
  nameRule: isDns1123Subdomain,
  // Nodes renew theirs every few seconds for ever: that must not wear out a memory card. All others say
  // who leads, and a second leader is what a lost one makes.
  ephemeralIn: 'kube-node-lease',
  columns: [
    nameColumn,
    { name: 'Holder', description: 'The identity of the holder of the lease.', cell: (l) => l.spec?.holderIdentity ?? '' },
    ageColumn,
  ],
  validate(l, faults) {
    faults.positive('spec.leaseDurationSeconds', l.spec?.leaseDurationSeconds)
    faults.notNegative('spec.leaseTransitions', l.spec?.leaseTransitions)
    const { strategy } = l.spec ?? {}
    if (strategy?.includes('/')) faults.each('spec.strategy', strategy, isQualifiedName(strategy))
    else if (strategy !== undefined) faults.oneOf('spec.strategy', strategy, ['OldestEmulationVersion'])
    if (l.spec?.preferredHolder && !l.spec.strategy)
      faults.forbidden('spec.preferredHolder', 'may only be specified if `strategy` is defined')
  },
}
