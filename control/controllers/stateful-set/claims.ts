// The claims of a StatefulSet's pods: made before the pod, kept when it goes, and owned as the set's retention policy
// says, so that the garbage collector deletes with the set, or with a pod that is scaled away, what should go with it.

import type { New } from '#api/client/client.ts'
import { Pod, StatefulSet } from '#api/kinds/index.ts'
import type { PersistentVolumeClaim } from '#api/types/core-v1.gen.ts'
import type { OwnerReference } from '#api/types/meta-v1.gen.ts'
import { controllerRef } from '../ownership.ts'
import { claimName, podName } from './identity.ts'

export type ClaimMove =
  | { do: 'create'; claim: New<PersistentVolumeClaim> }
  /** Changes whose it is. */
  | { do: 'own'; claim: PersistentVolumeClaim; ownerReferences: OwnerReference[] }

export type ClaimPlan = {
  moves: ClaimMove[]
  /** A claim that is on its way out, or that goes with a pod that was here before: the new pod must not get it. */
  blockedBy?: string
}

export type ClaimSight = {
  set: StatefulSet
  ordinal: number
  /** Undefined where it is still to be made. */
  pod: Pod | undefined
  /** Whether the pod is to go because the set became smaller. */
  condemned: boolean
  find: (name: string) => PersistentVolumeClaim | undefined
}

export function planClaims({ set, ordinal, pod, condemned, find }: ClaimSight): ClaimPlan {
  const plan: ClaimPlan = { moves: [] }
  for (const template of set.spec.volumeClaimTemplates ?? []) {
    const name = claimName(set, template.metadata.name, ordinal)
    const claim = find(name)
    if (!claim) {
      if (!condemned) plan.moves.push({ do: 'create', claim: newClaim(set, template, name) })
    } else if (claim.metadata.deletionTimestamp || (!pod && goesWithAnother(set, ordinal, claim))) plan.blockedBy ??= name
    else {
      const ownerReferences = ownersOf(set, pod, condemned, claim)
      if (ownerReferences) plan.moves.push({ do: 'own', claim, ownerReferences })
    }
  }
  return plan
}

function newClaim(set: StatefulSet, { metadata, spec }: PersistentVolumeClaim, name: string): New<PersistentVolumeClaim> {
  const { namespace = '' } = set.metadata
  return {
    metadata: {
      name,
      namespace,
      labels: { ...metadata.labels, ...set.spec.selector?.matchLabels },
      ...(metadata.annotations && { annotations: metadata.annotations }),
      ...(goesWithSet(set) && { ownerReferences: [controllerRef(StatefulSet, set)] }),
    },
    spec,
  }
}

const goesWithSet = ({ spec }: StatefulSet): boolean => spec.persistentVolumeClaimRetentionPolicy?.whenDeleted === 'Delete'

const goesWithAnother = (set: StatefulSet, ordinal: number, { metadata }: PersistentVolumeClaim): boolean =>
  metadata.ownerReferences?.some(({ kind, name }) => kind === 'Pod' && name === podName(set, ordinal)) ?? false

/** Undefined where they are right, and where the claim has an owner that is not of ours. */
function ownersOf(
  set: StatefulSet,
  pod: Pod | undefined,
  condemned: boolean,
  { metadata }: PersistentVolumeClaim,
): OwnerReference[] | undefined {
  const withPod = condemned && set.spec.persistentVolumeClaimRetentionPolicy?.whenScaled === 'Delete'
  const owner = withPod ? (pod ? controllerRef(Pod, pod) : undefined) : goesWithSet(set) ? controllerRef(StatefulSet, set) : undefined
  const present = metadata.ownerReferences ?? []
  const isOurs = ({ uid, kind, name }: OwnerReference) =>
    uid === set.metadata.uid || uid === pod?.metadata.uid || (kind === 'Pod' && name === pod?.metadata.name)
  if (present.some((ref) => ref.controller && !isOurs(ref))) return undefined
  const ours = present.filter(isOurs)
  const right = owner ? ours.length === 1 && ours[0]!.uid === owner.uid : ours.length === 0
  return right ? undefined : [...present.filter((ref) => !isOurs(ref)), ...(owner ? [owner] : [])]
}
