// Clears away pods that nobody else can: those of nodes that no longer exist, those deleted before they
// had a node, and finished ones beyond a limit.

import { isStatus } from '#api/errors.ts'
import { byNode, type Index } from '#api/informer/indexes.ts'
import { Node, Pod } from '#api/kinds/index.ts'
import { keyOf } from '#api/kinds/kind.ts'
import { disruptionTarget, isTerminal } from '#api/pods.ts'
import { after, done, mapped, of, type Reconciler } from '#api/queue/reconciler.ts'
import type { Deps } from './deps.ts'
import { refOf } from './ownership.ts'

/** Milliseconds a node must be gone before its pods are: it may just be registering anew. */
const quarantine = 40_000
/** Finished pods kept for people to look at. */
const finishedMax = 1000
const finishedKey = 'finished'

const finished: Index<Pod> = (pod) => (isTerminal(pod) && !pod.metadata.deletionTimestamp ? [finishedKey] : [])

export function podGc({ client, informers, clock, log }: Deps): Reconciler {
  const nodes = informers.of(Node)
  const pods = informers.of(Pod)
  const missingSince = new Map<string, number>()

  /** `disrupted`: it would run on if it were not for its node. */
  async function force(pod: Pod, why: string, signal: AbortSignal, disrupted?: string): Promise<void> {
    log.info({ pod: keyOf(pod.metadata), why }, 'removing a pod')
    try {
      if (!isTerminal(pod)) {
        const others = pod.status.conditions?.filter(({ type }) => type !== 'DisruptionTarget') ?? []
        const conditions = disrupted ? [...others, disruptionTarget('DeletionByPodGC', disrupted, clock.now())] : pod.status.conditions
        await client.update(
          Pod,
          { ...pod, status: { ...pod.status, phase: 'Failed', ...(conditions && { conditions }) } },
          { subresource: 'status', signal },
        )
      }
      await client.delete(Pod, refOf(pod), { gracePeriodSeconds: 0, preconditions: { uid: pod.metadata.uid }, signal })
    } catch (error) {
      if (!isStatus(error, 'NotFound')) throw error
    }
  }

  return {
    name: 'pod-gc',
    watches: [
      of(Pod),
      mapped(Pod, (pod, old) => (isTerminal(pod) && !(old && isTerminal(old)) ? [finishedKey] : [])),
      mapped(Node, ({ metadata }, old) => (old ? [] : pods.by(byNode, metadata.name).map((pod) => keyOf(pod.metadata)))),
    ],
    workers: 1,
    async reconcile(key, signal) {
      if (key === finishedKey) {
        const all = pods.by(finished, finishedKey)
        const oldest = all.toSorted((a, b) => (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? ''))
        for (const pod of oldest.slice(0, Math.max(0, all.length - finishedMax))) await force(pod, 'too many finished pods', signal)
        return done
      }
      const pod = pods.get(key)
      const { nodeName } = pod?.spec ?? {}
      if (!pod || !nodeName) {
        missingSince.delete(key)
        // One that is kept by a finalizer has its end told, which some wait for, and goes when they let go of it.
        if (pod?.metadata.deletionTimestamp && !(isTerminal(pod) && pod.metadata.finalizers?.length))
          await force(pod, 'deleted before it had a node', signal)
        return done
      }
      const node = nodes.get(nodeName)
      if (node) {
        missingSince.delete(key)
        const outOfService = node.spec.taints?.some((taint) => taint.key === 'node.kubernetes.io/out-of-service')
        if (outOfService && pod.metadata.deletionTimestamp) await force(pod, 'its node is out of service', signal)
        return done
      }
      const since = missingSince.get(key) ?? clock.monotonic()
      missingSince.set(key, since)
      const left = since + quarantine - clock.monotonic()
      if (left > 0) return after(left)
      // Our copy may lag: only the server's word ends a pod.
      if (!(await client.find(Node, { name: nodeName }, { signal })))
        await force(pod, 'its node does not exist', signal, 'PodGC: node no longer exists')
      missingSince.delete(key)
      return done
    },
  }
}
