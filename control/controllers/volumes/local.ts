// The PersistentVolume of the built-in driver that a claim gets on the node of its first pod.

import type { New } from '#api/client/client.ts'
import { localDriver, localFinalizer, nodeLabel, nodeLabelOf } from '#api/local-volumes.ts'
import type { PersistentVolume, PersistentVolumeClaim } from '#api/types/core-v1.gen.ts'
import type { StorageClass } from '#api/types/storage-v1.gen.ts'
import { wantedBy } from './match.ts'
import { provisionedBy, volumeProtection } from './words.ts'

/** `hostname`: the node's label, which says for ever where the volume is. */
export function localVolume(
  claim: PersistentVolumeClaim,
  storageClass: StorageClass,
  node: string,
  hostname: string,
): New<PersistentVolume> {
  const { namespace = '', name, uid } = claim.metadata
  const handle = `pvc-${uid}`
  return {
    metadata: {
      name: handle,
      labels: { [nodeLabel]: nodeLabelOf(node) },
      annotations: { [provisionedBy]: localDriver },
      finalizers: [volumeProtection, localFinalizer],
    },
    spec: {
      capacity: { storage: wantedBy(claim) },
      accessModes: [...(claim.spec.accessModes ?? [])],
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid },
      persistentVolumeReclaimPolicy: storageClass.reclaimPolicy ?? 'Delete',
      storageClassName: storageClass.metadata.name,
      volumeMode: claim.spec.volumeMode ?? 'Filesystem',
      ...(storageClass.mountOptions && { mountOptions: [...storageClass.mountOptions] }),
      csi: { driver: localDriver, volumeHandle: handle },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [hostname] }] }],
        },
      },
    },
  }
}
