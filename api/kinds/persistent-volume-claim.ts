import { compareQuantity } from '../quantity.ts'
import { PersistentVolumeClaim } from './index.ts'
import { accessModesText, storageClassOf } from './rules/access-modes.ts'
import { validateClaimSpec } from './rules/claim-validation.ts'
import { claimWarnings } from './rules/claim-warnings.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import { validateClaimSizes } from './rules/expansion-status.ts'
import { same } from './rules/faults.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

/** For a claim of its own, and for those in the templates of a stateful set. */
export function defaultClaim(claim: PersistentVolumeClaim): void {
  if (!claim.spec) return
  claim.spec.volumeMode ??= 'Filesystem'
  claim.status ??= {}
  claim.status.phase ??= 'Pending'
}

export const persistentVolumeClaim: KindSpec<PersistentVolumeClaim> = {
  kind: PersistentVolumeClaim,
  singular: 'persistentvolumeclaim',
  shortNames: ['pvc'],
  status: true,
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    { name: 'Status', cell: (c) => (c.metadata.deletionTimestamp ? 'Terminating' : (c.status?.phase ?? '')) },
    { name: 'Volume', cell: (c) => c.spec.volumeName ?? '' },
    { name: 'Capacity', cell: (c) => (c.spec.volumeName ? (c.status?.capacity?.storage ?? '0') : '') },
    { name: 'Access Modes', cell: (c) => (c.spec.volumeName ? accessModesText(c.status?.accessModes) : '') },
    { name: 'StorageClass', cell: storageClassOf },
    { name: 'VolumeAttributesClass', cell: (c) => c.spec.volumeAttributesClassName ?? '<unset>' },
    ageColumn,
    { name: 'VolumeMode', wide: true, cell: (c) => c.spec.volumeMode ?? '<unset>' },
  ],
  defaults(claim) {
    defaultClaim(claim)
    // The two ways to name a source of data say the same, unless the newer one reaches into another namespace.
    const { spec } = claim
    if (!spec) return
    if (spec.dataSource && !spec.dataSourceRef) {
      // The older one never named anything but these; the rest was ignored, and still is.
      if (isClaimOrSnapshot(spec.dataSource)) spec.dataSourceRef = { ...spec.dataSource }
      else delete spec.dataSource
    } else if (spec.dataSourceRef && !spec.dataSource && spec.dataSourceRef.namespace === undefined)
      spec.dataSource = { ...spec.dataSourceRef }
  },
  prepareCreate(claim) {
    claim.status = { phase: 'Pending' }
  },
  warnings: claimWarnings,
  validate({ spec }, faults) {
    if (!spec) return faults.required('spec')
    validateClaimSpec('spec', spec, faults)
  },
  validateUpdate(next, previous, faults, subresource) {
    if (subresource === 'status') return validateClaimSizes(next.status, faults)
    const bound = previous.status?.phase === 'Bound'
    if (!same(fixedPart(next, previous, bound), fixedPart(previous, previous, bound)))
      faults.forbidden('spec', 'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims')
    const [named, renamed] = [previous.spec.volumeAttributesClassName, next.spec.volumeAttributesClassName]
    if (named !== undefined && !renamed) {
      const what = renamed === undefined ? 'nil' : 'an empty string'
      faults.forbidden('spec.volumeAttributesClassName', `update from non-nil value to ${what} is forbidden`)
    }
    const [before, after] = [previous.spec.resources?.requests?.storage, next.spec.resources?.requests?.storage]
    if (
      bound &&
      before &&
      after &&
      compareQuantity(after, before) < 0 &&
      compareQuantity(after, previous.status.capacity?.storage ?? before) <= 0
    )
      faults.forbidden('spec.resources.requests.storage', 'field can not be less than status.capacity')
  },
}

const isClaimOrSnapshot = ({ apiGroup = '', kind }: NonNullable<PersistentVolumeClaim['spec']['dataSource']>): boolean =>
  apiGroup === '' ? kind === 'PersistentVolumeClaim' : apiGroup === 'snapshot.storage.k8s.io' && kind === 'VolumeSnapshot'

/** All of a claim's spec that an update may not change. The binder sets the volume once, and a bound claim may grow. */
function fixedPart({ spec }: PersistentVolumeClaim, previous: PersistentVolumeClaim, bound: boolean): unknown {
  return {
    ...spec,
    volumeName: previous.spec.volumeName ? spec.volumeName : undefined,
    storageClassName: previous.spec.storageClassName === undefined ? undefined : spec.storageClassName,
    ...(bound && {
      volumeAttributesClassName: undefined,
      resources: { ...spec.resources, requests: { ...spec.resources?.requests, storage: '' } },
    }),
  }
}
