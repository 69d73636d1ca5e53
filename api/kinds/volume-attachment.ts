import type { PersistentVolumeSpec } from '../types/core-v1.gen.ts'
import { isDriverName } from './csi-driver.ts'
import { VolumeAttachment } from './index.ts'
import { validateAccessModes } from './rules/access-modes.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import type { Faults } from './rules/faults.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

export const volumeAttachment: KindSpec<VolumeAttachment> = {
  kind: VolumeAttachment,
  singular: 'volumeattachment',
  status: true,
  statusMeta: [],
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    { name: 'Attacher', format: 'name', cell: (a) => a.spec.attacher },
    { name: 'PV', cell: (a) => a.spec.source.persistentVolumeName ?? '' },
    { name: 'Node', cell: (a) => a.spec.nodeName },
    { name: 'Attached', type: 'boolean', cell: (a) => a.status?.attached ?? false },
    ageColumn,
  ],
  prepareCreate(a) {
    a.status = { attached: false }
  },
  validate({ spec }, faults) {
    if (!spec) return faults.required('spec')
    if (!spec.attacher) faults.required('spec.attacher')
    else faults.each('spec.attacher', spec.attacher, isDriverName(spec.attacher))
    const { persistentVolumeName: name, inlineVolumeSpec: inline } = spec.source ?? {}
    if (name === undefined && !inline)
      faults.required('spec.source', 'must specify exactly one of inlineVolumeSpec and persistentVolumeName')
    if (name !== undefined && inline)
      faults.forbidden('spec.source', 'must specify exactly one of inlineVolumeSpec and persistentVolumeName')
    if (name === '') faults.required('spec.source.persistentVolumeName', 'must specify non empty persistentVolumeName')
    else if (name !== undefined) faults.each('spec.source.persistentVolumeName', name, isDns1123Subdomain(name))
    if (inline) validateInline('spec.source.inlineVolumeSpec', inline, faults)
    if (!spec.nodeName) faults.required('spec.nodeName')
    else faults.each('spec.nodeName', spec.nodeName, isDns1123Subdomain(spec.nodeName))
  },
  validateUpdate(next, previous, faults) {
    faults.immutable('spec', next.spec, previous.spec)
  },
}

/** A volume that a pod names itself: it is no claim's, and fits any node. */
function validateInline(at: string, spec: PersistentVolumeSpec, faults: Faults): void {
  for (const field of ['claimRef', 'capacity', 'nodeAffinity', 'storageClassName'] as const)
    if (spec[field]) faults.forbidden(`${at}.${field}`, 'may not be specified in the context of inline volumes')
  if (!spec.csi) faults.required(`${at}.csi`, 'has to be specified in the context of inline volumes')
  validateAccessModes(`${at}.accessModes`, spec.accessModes, '', faults)
}
