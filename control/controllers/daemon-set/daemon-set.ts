// Keeps one pod of each DaemonSet on every node that should have it.

import { byOwner } from '#api/informer/indexes.ts'
import { ControllerRevision, DaemonSet, Node, Pod } from '#api/kinds/index.ts'
import { keyOf } from '#api/kinds/kind.ts'
import { readyCondition } from '#api/pods.ts'
import { after, done, mapped, of, ownedBy, type Reconciler } from '#api/queue/reconciler.ts'
import { selectorMatcher } from '#api/selector/label.ts'
import { Ages } from '../ages.ts'
import type { WorkloadDeps } from '../deps.ts'
import { HeldBack } from '../held-back.ts'
import { revisionHistory, revisionLabel } from '../history/history.ts'
import { isControlledBy } from '../ownership.ts'
import { podWatches } from '../pod-control/pod-control.ts'
import { untilAvailable } from '../pods.ts'
import { canonical } from '../template.ts'
import { answers, isTelling, judge, nodeOf, podFor, type Verdict } from './place.ts'
import { type Doomed, planDaemons, type Sight } from './plan.ts'
import { planStatus } from './status.ts'

/** Pods created or deleted in one go; the rest follows at once, but others get their turn. */
const burst = 250

export function daemonSets({ client, informers, recorderFor, podControlFor, clock }: WorkloadDeps): Reconciler {
  const ages = new Ages(clock)
  const heldBack = new HeldBack(clock)
  const sets = informers.of(DaemonSet)
  const nodes = informers.of(Node)
  const pods = informers.of(Pod)
  const events = recorderFor('daemonset-controller')
  const control = podControlFor('daemonset-controller')
  const history = revisionHistory({ client, informers }, DaemonSet)
  const matches = ({ spec }: DaemonSet) => selectorMatcher(spec.selector)
  sets.on({ delete: ({ metadata }) => heldBack.forget(metadata.uid) })

  const allSets = (node: Node, old?: Node): string[] =>
    old && !isTelling(node, old)
      ? []
      : sets
          .list()
          .map(({ metadata }) => keyOf(metadata))
          .toArray()

  /** The verdict of a set on a node stands until one of them changes; with many nodes most of a look would be verdicts. */
  const verdicts = new WeakMap<Node, Map<string, { generation: number; verdict: Verdict }>>()
  function verdictOn(set: DaemonSet, node: Node): Verdict {
    const { uid, generation = 0 } = set.metadata
    const known = verdicts.get(node)?.get(uid)
    if (known?.generation === generation) return known.verdict
    const verdict = judge(set, node)
    const all = verdicts.get(node) ?? new Map<string, { generation: number; verdict: Verdict }>()
    verdicts.set(node, all.set(uid, { generation, verdict }))
    return verdict
  }

  function look(set: DaemonSet, own: readonly Pod[], hash: string | undefined): Sight {
    const byNode = Map.groupBy(own, (pod) => nodeOf(pod) ?? '')
    const known = nodes
      .list()
      .toArray()
      .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    const sight = known.map((node) => {
      const { name } = node.metadata
      const there = byNode.get(name) ?? []
      byNode.delete(name)
      return { name, verdict: verdictOn(set, node), alive: answers(node), pods: there }
    })
    // What was taken over and is meant for no node in particular may yet come to one.
    byNode.delete('')
    return {
      set,
      nodes: sight,
      // Those that run on a node that is gone are the pod collector's.
      lost: [...byNode.values()].flat().filter(({ spec }) => !spec.nodeName),
      isUpdated: ({ metadata }) => metadata.labels?.[revisionLabel] === hash,
      wait: (pod) =>
        untilAvailable(pod, set.spec.minReadySeconds ?? 0, (ready) =>
          ages.of(ready.metadata.uid, readyCondition(ready)?.lastTransitionTime),
        ),
      heldBack: (pod, node) => heldBack.of(set.metadata.uid, node, pod.metadata.uid),
    }
  }

  return {
    name: 'daemonset',
    watches: [
      of(DaemonSet),
      ...podWatches(DaemonSet, sets, matches, ({ status }) => status?.desiredNumberScheduled ?? 0),
      ownedBy(DaemonSet, ControllerRevision),
      mapped(Node, allSets),
    ],
    async reconcile(key, signal) {
      const set = sets.get(key)
      if (!set) return done
      // What it would make now, its revision too, would only hold up its end.
      if (set.metadata.deletionTimestamp) return done
      const owner = { kind: DaemonSet, object: set }
      const own = await control.claim(owner, matches(set), signal)
      const { revisions, update, collisionCount } = await history.record(set, signal)
      const hash = update.metadata.labels?.[revisionLabel] ?? ''
      const { create, remove, recheck } = planDaemons(look(set, own, hash))
      const doomed = remove.slice(0, burst)
      for (const each of doomed) tell(set, each)
      const deleted = await control.delete(
        owner,
        doomed.map(({ pod }) => pod),
        signal,
      )
      const wanted = create.slice(0, burst).map((node) => podFor(set, node, hash))
      const created = await control.create(owner, wanted, signal)

      const now = pods.by(byOwner, set.metadata.uid).filter((pod) => isControlledBy(pod, set))
      const known = sets.get(key) ?? set
      const status = planStatus(look(known, now, hash), collisionCount)
      if (canonical(status) !== canonical(known.status))
        await client.update(DaemonSet, { ...known, status }, { subresource: 'status', signal })
      const error = created.error ?? deleted.error
      if (error !== undefined) throw error
      const used = new Set(now.map(({ metadata }) => metadata.labels?.[revisionLabel]))
      const live = revisions.filter((revision) => revision === update || used.has(revision.metadata.labels?.[revisionLabel]))
      await history.truncate(known, revisions, new Set(live.map(({ metadata }) => metadata.name)), signal)
      if (create.length > burst || remove.length > burst) return after(0)
      return recheck === undefined ? done : after(recheck)
    },
  }

  function tell(set: DaemonSet, { pod, why, node }: Doomed): void {
    const what = `daemon pod ${pod.metadata.namespace}/${pod.metadata.name} on node ${node}`
    if (why === 'failed') events.event(set, 'Warning', 'FailedDaemonPod', `Found failed ${what}, will try to kill it`)
    if (why === 'succeeded') events.event(set, 'Normal', 'SucceededDaemonPod', `Found succeeded ${what}, will try to delete it`)
  }
}
