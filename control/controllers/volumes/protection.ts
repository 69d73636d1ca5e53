// Keeps a claim as long as a pod uses it, and a volume as long as it is bound: each has a finalizer, which goes when it
// is on its way out and nobody needs it any more. Pods are looked for at the server before a claim is let go.

import { claimKeysOf, claimsOf } from '#api/claims.ts'
import type { Index } from '#api/informer/indexes.ts'
import { PersistentVolume, PersistentVolumeClaim, Pod } from '#api/kinds/index.ts'
import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import { isTerminal } from '#api/pods.ts'
import { done, mapped, of, type Reconciler } from '#api/queue/reconciler.ts'
import type { Deps } from '../deps.ts'
import { refOf } from '../ownership.ts'
import { claimProtection, volumeProtection } from './words.ts'

const byUsedClaim: Index<Pod> = (pod) => (holds(pod) ? claimKeysOf(pod) : [])
/** One that has no node and is not to get any uses nothing; one that has ended neither. */
const holds = (pod: Pod): boolean => Boolean(pod.spec.nodeName) && !isTerminal(pod)

async function setFinalizer<T extends KubeObject>(
  client: Deps['client'],
  kind: Kind<T>,
  object: T,
  name: string,
  there: boolean,
  signal: AbortSignal,
) {
  const { uid, resourceVersion, finalizers = [] } = object.metadata
  const next = there ? [...finalizers, name] : finalizers.filter((each) => each !== name)
  await client.patch(kind, refOf(object), 'merge', { metadata: { uid, resourceVersion, finalizers: next } }, { signal })
}

export function claimProtecting({ client, informers }: Deps): Reconciler {
  const claims = informers.of(PersistentVolumeClaim)
  const pods = informers.of(Pod)
  return {
    name: 'pvc-protection',
    watches: [
      of(PersistentVolumeClaim),
      mapped(Pod, (pod) => claimKeysOf(pod).filter((key) => claims.get(key)?.metadata.deletionTimestamp)),
    ],
    async reconcile(key, signal) {
      const claim = claims.get(key)
      if (!claim) return done
      const has = claim.metadata.finalizers?.includes(claimProtection) ?? false
      if (!claim.metadata.deletionTimestamp) {
        if (!has) await setFinalizer(client, PersistentVolumeClaim, claim, claimProtection, true, signal)
        return done
      }
      if (!has || pods.by(byUsedClaim, key).length > 0) return done
      const { namespace = '', name } = claim.metadata
      const { items } = await client.list(Pod, { namespace, signal })
      if (items.some((pod) => holds(pod) && claimsOf(pod).includes(name))) return done
      await setFinalizer(client, PersistentVolumeClaim, claim, claimProtection, false, signal)
      return done
    },
  }
}

export function volumeProtecting({ client, informers }: Deps): Reconciler {
  const volumes = informers.of(PersistentVolume)
  return {
    name: 'pv-protection',
    watches: [of(PersistentVolume)],
    async reconcile(key, signal) {
      const volume = volumes.get(key)
      if (!volume) return done
      const has = volume.metadata.finalizers?.includes(volumeProtection) ?? false
      const leaving = Boolean(volume.metadata.deletionTimestamp)
      if (!leaving && !has) await setFinalizer(client, PersistentVolume, volume, volumeProtection, true, signal)
      if (leaving && has && volume.status?.phase !== 'Bound')
        await setFinalizer(client, PersistentVolume, volume, volumeProtection, false, signal)
      return done
    },
  }
}
