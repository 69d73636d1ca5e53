// Who a StatefulSet's pod is: the n-th of its set, with the name, the host name and the storage of the n-th for ever.

import type { New } from '#api/client/client.ts'
import { StatefulSet } from '#api/kinds/index.ts'
import type { ControllerRevision } from '#api/types/apps-v1.gen.ts'
import type { Pod, Volume } from '#api/types/core-v1.gen.ts'
import { revisionLabel, templateOf } from '../history/history.ts'
import { podFrom } from '../template.ts'

const nameLabel = 'statefulset.kubernetes.io/pod-name'
const indexLabel = 'apps.kubernetes.io/pod-index'

export const podName = ({ metadata }: StatefulSet, ordinal: number): string => `${metadata.name}-${ordinal}`

/** Of a claim's template, for the pod of this ordinal. */
export const claimName = (set: StatefulSet, template: string, ordinal: number): string => `${template}-${podName(set, ordinal)}`

/** Undefined for a pod whose name is not one that this set gives. */
export function ordinalOf({ metadata }: StatefulSet, { metadata: { name } }: Pod): number | undefined {
  const prefix = `${metadata.name}-`
  const digits = name.slice(prefix.length)
  if (!name.startsWith(prefix) || !/^(0|[1-9]\d{0,9})$/.test(digits)) return undefined
  const ordinal = Number(digits)
  return ordinal < 2 ** 31 ? ordinal : undefined
}

export const firstOrdinal = ({ spec }: StatefulSet): number => spec.ordinals?.start ?? 0

/** Labels that a pod has by being the n-th of its set. */
export const identityLabels = (set: StatefulSet, ordinal: number): Record<string, string> => ({
  [nameLabel]: podName(set, ordinal),
  [indexLabel]: String(ordinal),
})

/** The name of the ControllerRevision that a pod was made of. */
export const revisionOf = ({ metadata }: Pod): string | undefined => metadata.labels?.[revisionLabel]

export function podOf(set: StatefulSet, revision: ControllerRevision, ordinal: number): New<Pod> {
  const name = podName(set, ordinal)
  const pod = podFrom(templateOf(revision), set, StatefulSet, name)
  const claims = claimVolumes(set, ordinal)
  const taken = new Set(claims.map((volume) => volume.name))
  const volumes = [...claims, ...(pod.spec?.volumes ?? []).filter((volume) => !taken.has(volume.name ?? ''))]
  return {
    ...pod,
    metadata: {
      ...pod.metadata,
      labels: { ...pod.metadata.labels, ...identityLabels(set, ordinal), [revisionLabel]: revision.metadata.name },
    },
    spec: {
      ...pod.spec,
      hostname: name,
      ...(set.spec.serviceName && { subdomain: set.spec.serviceName }),
      ...(volumes.length && { volumes }),
    },
  }
}

/** Whether the pod has all the claims that the set's pods have: nobody can give them to a pod that there is. */
export function hasStorage(set: StatefulSet, pod: Pod, ordinal: number): boolean {
  const claims = new Map(pod.spec.volumes?.map(({ name, persistentVolumeClaim }) => [name, persistentVolumeClaim?.claimName]))
  return claimVolumes(set, ordinal).every(({ name, persistentVolumeClaim }) => claims.get(name) === persistentVolumeClaim?.claimName)
}

const claimVolumes = (set: StatefulSet, ordinal: number): Volume[] =>
  (set.spec.volumeClaimTemplates ?? []).map(({ metadata }) => ({
    name: metadata.name,
    persistentVolumeClaim: { claimName: claimName(set, metadata.name, ordinal) },
  }))
