import type { VolumeAttachment as AttachmentType } from '../types/storage-v1.gen.ts'
import { ageColumn, nameColumn } from './columns.ts'
import { isDriverName } from './csi-driver.ts'
import { VolumeAttachment } from './index.ts'
import { isDns1123Subdomain } from './names.ts'
import type { KindSpec } from './spec.ts'

export const volumeAttachment: KindSpec<AttachmentType> = {
  kind: VolumeAttachment,
  singular: 'volumeattachment',
  status: true,
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
    if (!spec.nodeName) faults.required('spec.nodeName')
    else faults.each('spec.nodeName', spec.nodeName, isDns1123Subdomain(spec.nodeName))
  },
  validateUpdate(next, previous, faults) {
    faults.immutable('spec', next.spec, previous.spec)
  },
}
