import { CSIDriver } from './index.ts'
import { ageColumn, nameColumn, none } from './rules/columns.ts'
import type { Faults } from './rules/faults.ts'
import { isDns1123Subdomain, type Rule } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

const longestName = 63
const seconds = { least: 600, most: 2 ** 32 }

export const isDriverName: Rule = (name) => [
  ...(name.length > longestName ? [`must be no more than ${longestName} bytes`] : []),
  ...isDns1123Subdomain(name.toLowerCase()),
]

export const csiDriver: KindSpec<CSIDriver> = {
  kind: CSIDriver,
  singular: 'csidriver',
  generation: true,
  nameRule: isDriverName,
  columns: [
    nameColumn,
    { name: 'AttachRequired', type: 'boolean', cell: ({ spec }) => spec.attachRequired ?? true },
    { name: 'PodInfoOnMount', type: 'boolean', cell: ({ spec }) => spec.podInfoOnMount ?? false },
    { name: 'StorageCapacity', type: 'boolean', cell: ({ spec }) => spec.storageCapacity ?? false },
    { name: 'TokenRequests', cell: ({ spec }) => spec.tokenRequests?.map((t) => t.audience).join(',') ?? '<unset>' },
    { name: 'RequiresRepublish', type: 'boolean', cell: ({ spec }) => spec.requiresRepublish ?? false },
    { name: 'Modes', cell: ({ spec }) => spec.volumeLifecycleModes?.join(',') || none },
    ageColumn,
  ],
  defaults(d) {
    d.spec ??= {}
    const { spec } = d
    spec.attachRequired ??= true
    spec.podInfoOnMount ??= false
    spec.storageCapacity ??= false
    spec.fsGroupPolicy ??= 'ReadWriteOnceWithFSType'
    if (!spec.volumeLifecycleModes?.length) spec.volumeLifecycleModes = ['Persistent']
    spec.requiresRepublish ??= false
    spec.seLinuxMount ??= false
  },
  validate({ spec }, faults) {
    for (const mode of spec.volumeLifecycleModes ?? []) faults.oneOf('spec.volumeLifecycleModes', mode, ['Ephemeral', 'Persistent'])
    if (spec.fsGroupPolicy !== undefined)
      faults.oneOf('spec.fsGroupPolicy', spec.fsGroupPolicy, ['File', 'None', 'ReadWriteOnceWithFSType'])
    validateTokens(spec.tokenRequests, faults)
    if (spec.serviceAccountTokenInSecrets !== undefined && !spec.tokenRequests?.length) {
      const why = 'serviceAccountTokenInSecrets is set but no tokenRequests are specified'
      faults.invalid('spec.serviceAccountTokenInSecrets', spec.serviceAccountTokenInSecrets, why)
    }
    const period = spec.nodeAllocatableUpdatePeriodSeconds
    if (period !== undefined && period < 10)
      faults.invalid('spec.nodeAllocatableUpdatePeriodSeconds', period, 'must be greater than or equal to 10 seconds')
  },
  validateUpdate(next, previous, faults) {
    faults.immutable('spec.attachedRequired', next.spec.attachRequired, previous.spec.attachRequired)
    faults.immutable('spec.volumeLifecycleModes', next.spec.volumeLifecycleModes, previous.spec.volumeLifecycleModes)
  },
}

function validateTokens(requests: CSIDriver['spec']['tokenRequests'], faults: Faults): void {
  const audiences = new Set<string>()
  for (const [i, { audience, expirationSeconds }] of (requests ?? []).entries()) {
    const at = `spec.tokenRequests[${i}]`
    if (audiences.has(audience)) faults.duplicate(`${at}.audience`, audience)
    audiences.add(audience)
    if (expirationSeconds === undefined) continue
    if (expirationSeconds < seconds.least)
      faults.invalid(`${at}.expirationSeconds`, expirationSeconds, 'may not specify a duration less than 10 minutes')
    if (expirationSeconds > seconds.most)
      faults.invalid(`${at}.expirationSeconds`, expirationSeconds, 'may not specify a duration larger than 2^32 seconds')
  }
}
