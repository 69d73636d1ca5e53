// The finalizer by which a job keeps its pods until it has counted them: taken off, put on, and taken off the
// pods of jobs that are gone, which nobody will ever count.

import { isStatus } from '#api/errors.ts'
import { byOwner } from '#api/informer/indexes.ts'
import { Job, Pod } from '#api/kinds/index.ts'
import { keyOf } from '#api/kinds/kind.ts'
import { done, mapped, type Reconciler } from '#api/queue/reconciler.ts'
import type { Deps } from '../deps.ts'
import { controllerOf, refOf } from '../ownership.ts'
import { isTracked, trackingFinalizer } from './pod.ts'

/** Pods whose finalizers are taken off at a time. */
const atOnce = 50

/** Takes the finalizer off these pods, as they are: returns those that are still there. Throws if one has changed meanwhile. */
export async function letGo({ client }: Pick<Deps, 'client'>, pods: readonly Pod[], signal: AbortSignal): Promise<Pod[]> {
  const free: Pod[] = []
  for (let at = 0; at < pods.length; at += atOnce) {
    const results = await Promise.allSettled(
      pods
        .slice(at, at + atOnce)
        .map(async (pod) => (isTracked(pod) ? await withFinalizers(client, pod, (name) => name !== trackingFinalizer, signal) : pod)),
    )
    for (const result of results) if (result.status === 'fulfilled' && result.value) free.push(result.value)
    const failed = results.find((result) => result.status === 'rejected')
    if (failed) throw failed.reason
  }
  return free
}

export async function track({ client }: Pick<Deps, 'client'>, pod: Pod, signal: AbortSignal): Promise<void> {
  await withFinalizers(client, pod, () => true, signal, [trackingFinalizer])
}

async function withFinalizers(
  client: Deps['client'],
  pod: Pod,
  keep: (name: string) => boolean,
  signal: AbortSignal,
  more: string[] = [],
): Promise<Pod | undefined> {
  const { uid, resourceVersion } = pod.metadata
  const finalizers = [...(pod.metadata.finalizers ?? []).filter(keep), ...more]
  try {
    return await client.patch(Pod, refOf(pod), 'merge', { metadata: { uid, resourceVersion, finalizers } }, { signal })
  } catch (error) {
    if (isStatus(error, 'NotFound')) return undefined
    throw error
  }
}

/** Lets go the pods that still wait for a job that is no more. */
export function jobTracking({ client, informers }: Deps): Reconciler {
  const jobs = informers.of(Job)
  const pods = informers.of(Pod)

  async function isCounted(pod: Pod, signal: AbortSignal): Promise<boolean> {
    const owner = controllerOf(pod)
    if (owner?.kind !== Job.kind || !owner.apiVersion.startsWith(`${Job.group}/`)) return false
    const ref = { namespace: pod.metadata.namespace ?? '', name: owner.name }
    if (jobs.get(keyOf(ref))?.metadata.uid === owner.uid) return true
    // Our copy may lag: only the server's word frees a pod.
    return (await client.find(Job, ref, { signal }))?.metadata.uid === owner.uid
  }

  return {
    name: 'job-tracking',
    watches: [
      mapped(Pod, (pod) => (isTracked(pod) ? [keyOf(pod.metadata)] : [])),
      mapped(Job, ({ metadata }, old) => (old ? [] : pods.by(byOwner, metadata.uid).map((pod) => keyOf(pod.metadata)))),
    ],
    async reconcile(key, signal) {
      const pod = pods.get(key)
      if (pod && isTracked(pod) && !(await isCounted(pod, signal))) await letGo({ client }, [pod], signal)
      return done
    },
  }
}
