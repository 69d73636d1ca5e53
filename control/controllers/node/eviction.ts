// Removes pods from nodes whose NoExecute taints they do not tolerate, or no longer: a toleration with
// seconds counts them from when we first saw the taint, on our own steady clock.

import { isStatus } from '#api/errors.ts'
import { byNode } from '#api/informer/indexes.ts'
import { Node, Pod } from '#api/kinds/index.ts'
import { keyOf } from '#api/kinds/kind.ts'
import { disruptionTarget } from '#api/pods.ts'
import { after, done, mapped, of, type Reconciler } from '#api/queue/reconciler.ts'
import { rounded } from '#api/schema/exact.ts'
import type { Taint, Toleration } from '#api/types/core-v1.gen.ts'
import { tolerates } from '../../scheduler/taints.ts'
import type { Deps } from '../deps.ts'
import { refOf } from '../ownership.ts'
import { isActive } from '../pods.ts'

export function taintEviction({ client, informers, recorderFor, clock }: Deps): Reconciler {
  const nodes = informers.of(Node)
  const pods = informers.of(Pod)
  const events = recorderFor('taint-eviction-controller')
  const tainted = new Map<string, { uid: string; at: number }>()

  const onNode = (node: Node, old?: Node): string[] =>
    old && JSON.stringify(executing(old)) === JSON.stringify(executing(node))
      ? []
      : pods.by(byNode, node.metadata.name).map(({ metadata }) => keyOf(metadata))

  async function evict(pod: Pod, signal: AbortSignal): Promise<void> {
    const { uid } = pod.metadata
    const condition = disruptionTarget('DeletionByTaintManager', 'Taint manager: deleting due to NoExecute taint', clock.now())
    const told = { metadata: { uid }, status: { conditions: [condition] } }
    await client.patch(Pod, refOf(pod), 'strategic', told, { subresource: 'status', signal })
    await client.delete(Pod, refOf(pod), { preconditions: { uid }, signal })
  }

  return {
    name: 'taint-eviction',
    watches: [of(Pod), mapped(Node, onNode)],
    async reconcile(key, signal) {
      const pod = pods.get(key)
      const node = pod?.spec.nodeName ? nodes.get(pod.spec.nodeName) : undefined
      const taints = node ? executing(node) : []
      if (!pod || !taints.length || !isActive(pod)) {
        tainted.delete(key)
        return done
      }
      const known = tainted.get(key)
      const since = known?.uid === pod.metadata.uid ? known.at : clock.monotonic()
      tainted.set(key, { uid: pod.metadata.uid, at: since })
      const allowed = toleratedMs(taints, pod.spec.tolerations ?? [])
      if (allowed === Number.POSITIVE_INFINITY) return done
      const left = since + allowed - clock.monotonic()
      if (left > 0) return after(left)
      events.event(pod, 'Normal', 'TaintManagerEviction', `Marking for deletion Pod ${key}`)
      await evict(pod, signal).catch((error: unknown) => {
        if (!isStatus(error, 'NotFound')) throw error
      })
      return done
    },
  }
}

const executing = ({ spec }: Node): Taint[] => spec.taints?.filter(({ effect }) => effect === 'NoExecute') ?? []

/** How long a pod may stay beside these taints: 0 where one is not tolerated at all, Infinity for ever. */
export function toleratedMs(taints: readonly Taint[], tolerations: readonly Toleration[]): number {
  const used = taints.map((taint) => tolerations.filter((toleration) => tolerates(toleration, taint)))
  if (used.some((list) => list.length === 0)) return 0
  const seconds = used
    .flat()
    .flatMap(({ tolerationSeconds }) => (tolerationSeconds === undefined ? [] : [Math.max(0, rounded(tolerationSeconds))]))
  return seconds.length ? Math.min(...seconds) * 1000 : Number.POSITIVE_INFINITY
}
