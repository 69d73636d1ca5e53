import { compareQuantity } from '../quantity.ts'
import type { PersistentVolumeSpec, PersistentVolume as VolumeType } from '../types/core-v1.gen.ts'
import { accessModesText, storageClassOf, validateAccessModes, validateVolumeMode } from './access-modes.ts'
import { ageColumn, nameColumn } from './columns.ts'
import { type Faults, same } from './faults.ts'
import { PersistentVolume } from './index.ts'
import { isDns1123Subdomain } from './names.ts'
import type { KindSpec } from './spec.ts'

/** What of a spec is not its source. */
const common = [
  'capacity',
  'accessModes',
  'claimRef',
  'persistentVolumeReclaimPolicy',
  'storageClassName',
  'mountOptions',
  'volumeMode',
  'nodeAffinity',
  'volumeAttributesClassName',
]

const sourcesOf = (spec: PersistentVolumeSpec) =>
  Object.entries(spec).filter(([name, value]) => !common.includes(name) && value !== undefined)

export const persistentVolume: KindSpec<VolumeType> = {
  kind: PersistentVolume,
  singular: 'persistentvolume',
  shortNames: ['pv'],
  status: true,
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    { name: 'Capacity', cell: (v) => v.spec.capacity?.storage ?? '0' },
    { name: 'Access Modes', cell: (v) => accessModesText(v.spec.accessModes) },
    { name: 'Reclaim Policy', cell: (v) => v.spec.persistentVolumeReclaimPolicy ?? '' },
    { name: 'Status', cell: (v) => (v.metadata.deletionTimestamp ? 'Terminating' : (v.status?.phase ?? '')) },
    { name: 'Claim', cell: (v) => (v.spec.claimRef ? `${v.spec.claimRef.namespace ?? ''}/${v.spec.claimRef.name ?? ''}` : '') },
    { name: 'StorageClass', cell: storageClassOf },
    { name: 'VolumeAttributesClass', cell: (v) => v.spec.volumeAttributesClassName ?? '<unset>' },
    { name: 'Reason', cell: (v) => v.status?.reason ?? '' },
    ageColumn,
    { name: 'VolumeMode', wide: true, cell: (v) => v.spec.volumeMode ?? '<unset>' },
  ],
  defaults(v) {
    const { spec } = v
    if (!spec) return
    v.status ??= {}
    v.status.phase ??= 'Pending'
    spec.persistentVolumeReclaimPolicy ??= 'Retain'
    spec.volumeMode ??= 'Filesystem'
    if (spec.hostPath) spec.hostPath.type ??= ''
    if (spec.claimRef) {
      spec.claimRef.apiVersion ??= 'v1'
      spec.claimRef.kind ??= 'PersistentVolumeClaim'
    }
  },
  prepareCreate(v) {
    v.status = { phase: 'Pending' }
  },
  validate({ spec }, faults) {
    if (!spec) return faults.required('spec')
    validateAccessModes('spec.accessModes', spec.accessModes, '', faults)
    validateCapacity(spec, faults)
    const sources = sourcesOf(spec)
    if (sources.length === 0) faults.required('spec', 'must specify a volume type')
    for (const [extra] of sources.slice(1)) faults.forbidden(`spec.${extra}`, 'may not specify more than 1 volume type')
    validateSource(spec, faults)
    faults.oneOf('spec.persistentVolumeReclaimPolicy', spec.persistentVolumeReclaimPolicy, ['Delete', 'Recycle', 'Retain'])
    if (spec.hostPath?.path === '/' && spec.persistentVolumeReclaimPolicy === 'Recycle')
      faults.forbidden('spec.persistentVolumeReclaimPolicy', "may not be 'recycle' for a hostPath mount of '/'")
    if (spec.storageClassName) faults.each('spec.storageClassName', spec.storageClassName, isDns1123Subdomain(spec.storageClassName))
    validateVolumeMode(spec.volumeMode, faults)
  },
  validateUpdate(next, previous, faults, subresource) {
    if (subresource === 'status') return
    if (!same(sourcesOf(next.spec), sourcesOf(previous.spec)))
      faults.forbidden('spec.persistentvolumesource', 'spec.persistentvolumesource is immutable after creation')
    faults.immutable('spec.volumeMode', next.spec.volumeMode, previous.spec.volumeMode)
    if (previous.spec.nodeAffinity && !same(next.spec.nodeAffinity, previous.spec.nodeAffinity))
      faults.invalid('spec.nodeAffinity', next.spec.nodeAffinity ?? null, 'field is immutable, except for updating from beta label to GA')
  },
}

function validateCapacity({ capacity = {} }: PersistentVolumeSpec, faults: Faults): void {
  const names = Object.keys(capacity)
  if (names.length === 0) return faults.required('spec.capacity')
  if (capacity.storage === undefined || names.length > 1) faults.notSupported('spec.capacity', capacity, ['storage'])
  for (const [name, amount] of Object.entries(capacity)) {
    if (compareQuantity(amount, '0') <= 0) faults.invalid(`spec.capacity[${name}]`, amount, 'must be greater than zero')
  }
}

function validateSource({ hostPath, nfs, local, csi, nodeAffinity }: PersistentVolumeSpec, faults: Faults): void {
  const backsteps = (path: string | undefined) => path?.split('/').includes('..')
  if (hostPath && !hostPath.path) faults.required('spec.hostPath.path')
  if (backsteps(hostPath?.path)) faults.invalid('spec.hostPath.path', hostPath?.path, "must not contain '..'")
  if (nfs) {
    if (!nfs.server) faults.required('spec.nfs.server')
    if (!nfs.path) faults.required('spec.nfs.path')
    else if (!nfs.path.startsWith('/')) faults.invalid('spec.nfs.path', nfs.path, 'must be an absolute path')
  }
  if (local) {
    if (!local.path) faults.required('spec.local.path')
    else if (backsteps(local.path)) faults.invalid('spec.local.path', local.path, "must not contain '..'")
    if (!nodeAffinity) faults.required('spec.nodeAffinity', 'Local volume requires node affinity')
  }
  if (csi) {
    if (!csi.driver) faults.required('spec.csi.driver')
    if (!csi.volumeHandle) faults.required('spec.csi.volumeHandle')
  }
  if (nodeAffinity) {
    if (!nodeAffinity.required) faults.required('spec.nodeAffinity.required', 'must specify required node constraints')
    else if (!nodeAffinity.required.nodeSelectorTerms?.length)
      faults.required('spec.nodeAffinity.required.nodeSelectorTerms', 'must have at least one node selector term')
  }
}
