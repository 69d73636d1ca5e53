// A bound claim that asks for more than it has. For a volume of a node the wish is written into the volume, whose
// agent makes it so while pods use it; what it has then is written into the claim.

import { timestamp } from '#api/clock.ts'
import { PersistentVolume, PersistentVolumeClaim } from '#api/kinds/index.ts'
import { same } from '#api/kinds/rules/faults.ts'
import { isLocalVolume, problemAnnotation, sizeOf } from '#api/local-volumes.ts'
import { compareQuantity, units } from '#api/quantity.ts'
import { done, mapped, of, type Reconciler } from '#api/queue/reconciler.ts'
import type { PersistentVolumeClaimStatus } from '#api/types/core-v1.gen.ts'
import type { Deps } from '../deps.ts'
import { refOf } from '../ownership.ts'
import type { Told } from './claim.ts'
import { wantedBy } from './match.ts'
import { Teller } from './teller.ts'
import { isMarked, provisionedBy, refersTo } from './words.ts'

export type ExpansionPlan = {
  /** What the volume is to have. */
  capacity?: string
  /** Of the claim; what is null goes. */
  status?: { [K in 'capacity' | 'conditions' | 'allocatedResources' | 'allocatedResourceStatuses']?: PersistentVolumeClaimStatus[K] | null }
  told?: Told
}

/** Both are bound to each other. `now` in milliseconds. */
export function planExpansion(claim: PersistentVolumeClaim, volume: PersistentVolume, now: number): ExpansionPlan {
  const wanted = wantedBy(claim)
  const given = volume.spec.capacity?.['storage'] ?? '0'
  const has = claim.status?.capacity?.['storage'] ?? '0'
  if (compareQuantity(wanted, has) <= 0 && compareQuantity(given, has) <= 0) return {}
  if (!isLocalVolume(volume)) {
    if (!isMarked(volume, provisionedBy)) return {}
    return { told: { type: 'Normal', reason: 'ExternalExpanding', message: 'waiting for an external controller to expand this PVC' } }
  }
  const aim = compareQuantity(wanted, given) > 0 ? wanted : given
  if ((sizeOf(volume) ?? 0) >= units(aim)) {
    const message = `MountVolume.NodeExpandVolume succeeded for volume ${JSON.stringify(volume.metadata.name)}`
    return {
      status: { capacity: { storage: aim }, conditions: null, allocatedResources: null, allocatedResourceStatuses: null },
      told: { type: 'Normal', reason: 'FileSystemResizeSuccessful', message },
    }
  }
  const problem = volume.metadata.annotations?.[problemAnnotation]
  const type = problem ? ('FileSystemResizePending' as const) : ('Resizing' as const)
  const known = claim.status?.conditions?.find((condition) => condition.type === type)
  const condition = {
    type,
    status: 'True' as const,
    lastTransitionTime: known?.lastTransitionTime ?? timestamp(now),
    ...(problem && { message: `Waiting for user to (re-)start a pod to finish file system resize of volume on node: ${problem}` }),
  }
  return {
    ...(aim !== given && { capacity: aim }),
    status: {
      conditions: [condition],
      allocatedResources: { storage: aim },
      allocatedResourceStatuses: { storage: problem ? 'NodeResizePending' : 'NodeResizeInProgress' },
    },
    told: problem
      ? { type: 'Warning', reason: 'VolumeResizeFailed', message: problem }
      : { type: 'Normal', reason: 'Resizing', message: `External resizer is resizing volume ${volume.metadata.name}` },
  }
}

export function claimExpansion({ client, informers, clock, recorderFor }: Deps): Reconciler {
  const claims = informers.of(PersistentVolumeClaim)
  const volumes = informers.of(PersistentVolume)
  const teller = new Teller(recorderFor('volume_expand'))
  return {
    name: 'volume-expand',
    watches: [
      of(PersistentVolumeClaim),
      mapped(PersistentVolume, ({ spec: { claimRef } }) => (claimRef ? [`${claimRef.namespace}/${claimRef.name}`] : [])),
    ],
    async reconcile(key, signal) {
      const claim = claims.get(key)
      const volume = volumes.get(claim?.spec.volumeName ?? '')
      if (!claim) teller.forget(key)
      if (!claim || claim.status?.phase !== 'Bound' || !volume || !refersTo(volume, claim)) return done
      const { capacity, status, told } = planExpansion(claim, volume, clock.now())
      if (capacity !== undefined) {
        const { uid, resourceVersion } = volume.metadata
        const patch = { metadata: { uid, resourceVersion }, spec: { capacity: { storage: capacity } } }
        await client.patch(PersistentVolume, refOf(volume), 'merge', patch, { signal })
      }
      const before = claim.status as Record<string, unknown>
      if (status && Object.entries(status).some(([field, value]) => !same(before[field] ?? null, value))) {
        const patch = { metadata: { uid: claim.metadata.uid }, status }
        await client.patch(PersistentVolumeClaim, refOf(claim), 'merge', patch, { subresource: 'status', signal })
      }
      if (told) teller.tell(claim, told)
      return done
    },
  }
}
