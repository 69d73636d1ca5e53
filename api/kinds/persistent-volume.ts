import { posix } from 'node:path'
import { compareQuantity } from '../quantity.ts'
import type { PersistentVolumeSpec, VolumeNodeAffinity } from '../types/core-v1.gen.ts'
import { PersistentVolume } from './index.ts'
import { accessModesText, storageClassOf, validateAccessModes, validateVolumeMode } from './rules/access-modes.ts'
import { volumeWarnings } from './rules/claim-warnings.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import { type Faults, same } from './rules/faults.ts'
import { isDns1123Label, isDns1123Subdomain } from './rules/names.ts'
import { validateNodeSelector } from './rules/node-selector.ts'
import { validateCsiName, validateSecretRef, validateSource } from './rules/volume-sources.ts'
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

/** Labels of nodes by the names that they had in beta. */
const grown: Readonly<Record<string, string>> = {
  'failure-domain.beta.kubernetes.io/zone': 'topology.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region': 'topology.kubernetes.io/region',
  'beta.kubernetes.io/os': 'kubernetes.io/os',
  'beta.kubernetes.io/arch': 'kubernetes.io/arch',
  'beta.kubernetes.io/instance-type': 'node.kubernetes.io/instance-type',
}

const sourcesOf = (spec: PersistentVolumeSpec) =>
  Object.entries(spec).filter(([name, value]) => !common.includes(name) && value !== undefined)

export const persistentVolume: KindSpec<PersistentVolume> = {
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
  warnings: volumeWarnings,
  validate({ metadata, spec }, faults) {
    if (!spec) return faults.required('spec')
    validateAccessModes('spec.accessModes', spec.accessModes, '', faults)
    validateCapacity(spec, faults)
    const sources = sourcesOf(spec)
    if (sources.length === 0) faults.required('spec', 'must specify a volume type')
    for (const [extra] of sources.slice(1)) faults.forbidden(`spec.${extra}`, 'may not specify more than 1 volume type')
    validateVolumeSource(spec, sources[0]?.[0], metadata.name, faults)
    faults.oneOf('spec.persistentVolumeReclaimPolicy', spec.persistentVolumeReclaimPolicy, ['Delete', 'Recycle', 'Retain'])
    if (spec.hostPath && posix.normalize(spec.hostPath.path) === '/' && spec.persistentVolumeReclaimPolicy === 'Recycle')
      faults.forbidden('spec.persistentVolumeReclaimPolicy', "may not be 'recycle' for a hostPath mount of '/'")
    if (spec.storageClassName) faults.each('spec.storageClassName', spec.storageClassName, isDns1123Subdomain(spec.storageClassName))
    validateVolumeMode('spec.volumeMode', spec.volumeMode, faults)
    validateAttributesClass(spec, faults)
  },
  validateUpdate(next, previous, faults, subresource) {
    if (subresource === 'status') return
    if (!same(sourcesOf(comparable(next.spec, previous.spec)), sourcesOf(previous.spec)))
      faults.forbidden('spec.persistentvolumesource', 'spec.persistentvolumesource is immutable after creation')
    faults.immutable('spec.volumeMode', next.spec.volumeMode, previous.spec.volumeMode)
    if (previous.spec.volumeAttributesClassName !== undefined && next.spec.volumeAttributesClassName === undefined)
      faults.forbidden('spec.volumeAttributesClassName', 'update from non-nil value to nil is forbidden')
    if (previous.spec.nodeAffinity && !same(next.spec.nodeAffinity, modern(previous.spec.nodeAffinity, next.spec.nodeAffinity)))
      faults.invalid('spec.nodeAffinity', next.spec.nodeAffinity ?? null, 'field is immutable, except for updating from beta label to GA')
  },
}

/** The secret for growing a volume may be named later. */
function comparable(next: PersistentVolumeSpec, { csi }: PersistentVolumeSpec): PersistentVolumeSpec {
  if (!next.csi || !csi || csi.controllerExpandSecretRef) return next
  return { ...next, csi: { ...next.csi, controllerExpandSecretRef: undefined } }
}

/** The old affinity, with keys that were beta spelled as `next` has them, where that is their new name. */
function modern(affinity: VolumeNodeAffinity, next: VolumeNodeAffinity | undefined): VolumeNodeAffinity {
  const terms = affinity.required?.nodeSelectorTerms.map((term, i) => ({
    ...term,
    matchExpressions: term.matchExpressions?.map((expression, j) => {
      const key = next?.required?.nodeSelectorTerms?.[i]?.matchExpressions?.[j]?.key
      return key !== undefined && grown[expression.key] === key ? { ...expression, key } : expression
    }),
  }))
  return terms ? { ...affinity, required: { ...affinity.required, nodeSelectorTerms: terms } } : affinity
}

function validateAttributesClass({ volumeAttributesClassName: name, csi }: PersistentVolumeSpec, faults: Faults): void {
  if (name === undefined) return
  if (!name) faults.required('spec.volumeAttributesClassName', 'an empty string is disallowed')
  else faults.each('spec.volumeAttributesClassName', name, isDns1123Subdomain(name))
  if (!csi) faults.required('spec.csi', 'has to be specified when using volumeAttributesClassName')
}

function validateCapacity({ capacity = {} }: PersistentVolumeSpec, faults: Faults): void {
  const names = Object.keys(capacity)
  if (names.length === 0) return faults.required('spec.capacity')
  if (capacity.storage === undefined || names.length > 1) faults.notSupported('spec.capacity', capacity, ['storage'])
  for (const [name, amount] of Object.entries(capacity)) {
    if (compareQuantity(amount, '0') <= 0) faults.invalid(`spec.capacity[${name}]`, amount, 'must be greater than zero')
  }
}

function validateVolumeSource(spec: PersistentVolumeSpec, kind: string | undefined, name: string, faults: Faults): void {
  const { csi, iscsi, local, nodeAffinity, glusterfs, azureFile, cinder } = spec
  if (kind) validateSource('spec', kind, spec, faults)
  if (nodeAffinity) {
    if (!nodeAffinity.required) faults.required('spec.nodeAffinity.required', 'must specify required node constraints')
    else validateNodeSelector('spec.nodeAffinity.required', nodeAffinity.required, faults)
  }
  if (local?.path && !nodeAffinity) faults.required('spec.nodeAffinity', 'Local volume requires node affinity')
  if (csi) {
    validateCsiName('spec.csi.driver', csi.driver, faults)
    if (!csi.volumeHandle) faults.required('spec.csi.volumeHandle')
    for (const field of ['controllerPublishSecretRef', 'controllerExpandSecretRef', 'nodePublishSecretRef', 'nodeExpandSecretRef'] as const)
      validateSecretRef(`spec.csi.${field}`, csi[field], faults)
  }
  if (iscsi?.initiatorName !== undefined && `${name}:${iscsi.targetPortal}`.length > 64) {
    const most = 'must be under 64 characters if iscsi.initiatorName is specified.'
    faults.invalid('spec.iscsi.targetportal', iscsi.targetPortal, `Total length of <volume name>:<iscsi.targetPortal> ${most}`)
  }
  if (iscsi?.secretRef && !iscsi.secretRef.name) faults.required('spec.iscsi.secretRef.name')
  if (cinder?.secretRef && !cinder.secretRef.name) faults.required('spec.cinder.secretRef.name')
  if (cinder?.secretRef && !cinder.secretRef.namespace) faults.required('spec.cinder.secretRef.namespace')
  if (azureFile?.secretNamespace === '') faults.required('spec.azureFile.secretNamespace')
  const of = glusterfs?.endpointsNamespace
  if (of !== undefined) faults.each('spec.glusterfs.endpointsNamespace', of, isDns1123Label(of))
}
