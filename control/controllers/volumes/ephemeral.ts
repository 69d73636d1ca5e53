// The claim of a pod's ephemeral volume: made for the pod, named after pod and volume, and gone with it.

import { claimOf } from '#api/claims.ts'
import { isStatus } from '#api/errors.ts'
import { PersistentVolumeClaim, Pod } from '#api/kinds/index.ts'
import { keyOf } from '#api/kinds/kind.ts'
import { isTerminal } from '#api/pods.ts'
import { done, mapped, type Reconciler } from '#api/queue/reconciler.ts'
import type { Deps } from '../deps.ts'
import { controllerRef, isControlledBy } from '../ownership.ts'
import { Teller } from './teller.ts'

const isEphemeral = ({ spec }: Pod): boolean => spec.volumes?.some(({ ephemeral }) => ephemeral) === true

export function ephemeralClaims({ client, informers, recorderFor }: Deps): Reconciler {
  const pods = informers.of(Pod)
  const claims = informers.of(PersistentVolumeClaim)
  const teller = new Teller(recorderFor('ephemeral_volume'))
  return {
    name: 'ephemeral-volume',
    watches: [
      mapped(Pod, (pod) => (isEphemeral(pod) ? [keyOf(pod.metadata)] : [])),
      mapped(PersistentVolumeClaim, ({ metadata }) =>
        (metadata.ownerReferences ?? []).flatMap(({ kind, name, controller }) =>
          controller && kind === 'Pod' ? [`${metadata.namespace}/${name}`] : [],
        ),
      ),
    ],
    async reconcile(key, signal) {
      const pod = pods.get(key)
      if (!pod) teller.forget(key)
      if (!pod || pod.metadata.deletionTimestamp || isTerminal(pod)) return done
      const { namespace = '' } = pod.metadata
      for (const volume of pod.spec.volumes ?? []) {
        const template = volume.ephemeral?.volumeClaimTemplate
        const name = claimOf(pod, volume)
        if (!template || name === undefined) continue
        const there = claims.get(`${namespace}/${name}`)
        if (there) {
          if (isControlledBy(there, pod)) continue
          const message = `PVC ${namespace}/${name} was not created for pod ${namespace}/${pod.metadata.name} (pod is not owner)`
          teller.tell(pod, { type: 'Warning', reason: 'FailedBinding', message })
          continue
        }
        const { labels, annotations } = template.metadata ?? {}
        const metadata = {
          namespace,
          name,
          ...(labels && { labels }),
          ...(annotations && { annotations }),
          ownerReferences: [controllerRef(Pod, pod)],
        }
        await client.create(PersistentVolumeClaim, { metadata, spec: template.spec }, { signal }).catch((error: unknown) => {
          if (!isStatus(error, 'AlreadyExists')) throw error
        })
      }
      return done
    },
  }
}
