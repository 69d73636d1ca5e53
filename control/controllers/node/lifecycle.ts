// Notices nodes that fall silent: their conditions become Unknown, their taints keep pods away and start
// evictions, their pods count as not ready. Silence is measured on our own steady clock from the last
// renewal that we saw ourselves, so neither a wrong clock on a node nor a jump of ours ends a node.

import { type Timer, timestamp } from '#api/clock.ts'
import { isStatus } from '#api/errors.ts'
import { byNode } from '#api/informer/indexes.ts'
import { Lease, Node, Pod } from '#api/kinds/index.ts'
import { isReady as isPodReady } from '#api/pods.ts'
import { after, done, mapped, type Reconciler } from '#api/queue/reconciler.ts'
import { unreachableTaint } from '../../scheduler/taints.ts'
import type { Deps } from '../deps.ts'
import { refOf } from '../ownership.ts'
import { readiness, taintsFor, unknownConditions } from './health.ts'

/** Milliseconds of silence after which a node counts as lost. */
const grace = 40_000
/** How often we look whether we ourselves were stopped, and how much later than planned shows it. */
const pulse = 5_000
const stall = 10_000

const leases = { namespace: 'kube-node-lease' }

export function nodeLifecycle({ client, informers, recorderFor, clock, log }: Deps, signal: AbortSignal): Reconciler {
  const nodes = informers.of(Node)
  const renewals = informers.of(Lease, leases)
  const pods = informers.of(Pod)
  const events = recorderFor('node-controller')
  const heard = new Map<string, { sign: string; at: number }>()
  /** Names of nodes whose condition says so. */
  const ready = new Set<string>()
  /** A node that was lately heard of: looked at first when one is sought; none since anybody was heard last. */
  let witness: string | undefined
  let isSought = true
  let beat = clock.monotonic()

  /** While this process was stopped it could not hear anybody: that time is not theirs. */
  let timer: Timer | undefined
  function keepPulse(): void {
    const now = clock.monotonic()
    const late = now - beat - pulse
    if (late > stall) {
      log.warn({ ms: Math.round(late) }, 'this process was stopped; nodes get the time back')
      for (const each of heard.values()) each.at = now
      isSought = true
    }
    beat = now
    timer = clock.after(pulse, keepPulse)
  }

  function silence(node: Node): number {
    const now = clock.monotonic()
    const { name } = node.metadata
    const beats = node.status?.conditions?.map(({ lastHeartbeatTime }) => lastHeartbeatTime)
    // What we wrote ourselves does not count as a sign of life.
    const sign = JSON.stringify([node.metadata.uid, renewals.get({ ...leases, name })?.spec.renewTime, beats])
    const known = heard.get(name)
    if (known?.sign === sign) return now - known.at
    heard.set(name, { sign, at: now })
    isSought = true
    return 0
  }

  /** Healthy nodes are heard every few seconds. Where none was for half the grace, the fault is ours. */
  function isAnyHeard(): boolean {
    const isHeard = (node: Node | undefined) => node !== undefined && readiness(node) === 'True' && silence(node) < grace / 2
    if (witness !== undefined && isHeard(nodes.get(witness))) return true
    witness = undefined
    if (!isSought) return false
    for (const name of ready) {
      if (!isHeard(nodes.get(name))) continue
      witness = name
      return true
    }
    isSought = false
    return false
  }

  /** Stays so while others count as ready: one that is heard of late must not start anew the time that pods may stay. */
  const isEmptied = ({ spec }: Node) => spec.taints?.some(({ key, effect }) => key === unreachableTaint && effect === 'NoExecute') ?? false

  async function markPodsNotReady(node: Node, signal: AbortSignal): Promise<void> {
    for (const pod of pods.by(byNode, node.metadata.name)) {
      if (!isPodReady(pod)) continue
      const conditions = pod.status.conditions?.map((condition) =>
        condition.type === 'Ready' ? { ...condition, status: 'False' as const, lastTransitionTime: timestamp(clock.now()) } : condition,
      )
      try {
        await client.update(Pod, { ...pod, status: { ...pod.status, conditions } }, { subresource: 'status', signal })
        events.event(pod, 'Warning', 'NodeNotReady', 'Node is not ready')
      } catch (error) {
        if (!isStatus(error, 'NotFound')) throw error
      }
    }
  }

  keepPulse()
  signal.addEventListener('abort', () => timer?.cancel(), { once: true })
  return {
    name: 'node-lifecycle',
    watches: [
      mapped(Node, (node, old) => {
        const { name } = node.metadata
        if (old && readiness(node) === readiness(old)) return [name]
        const wasAny = ready.size > 0
        const current = nodes.get(name)
        if (current && readiness(current) === 'True') ready.add(name)
        else ready.delete(name)
        isSought = true
        // Whether anyone is heard of at all bears on every node.
        if (ready.size > 0 !== wasAny) return nodes.list().map(({ metadata }) => metadata.name)
        return [name]
      }),
      mapped(Lease, ({ metadata }) => [metadata.name], leases),
      mapped(Pod, (pod, old) => (pod.spec.nodeName && isPodReady(pod) && !(old && isPodReady(old)) ? [pod.spec.nodeName] : [])),
    ],
    async reconcile(name, signal) {
      let node = nodes.get(name)
      if (!node) {
        heard.delete(name)
        return done
      }
      const quiet = silence(node)
      if (quiet >= grace) {
        const conditions = unknownConditions(node, clock.now())
        if (conditions) {
          log.warn({ node: name, silentForMs: Math.round(quiet) }, 'node is not heard of any more')
          node = await client.update(Node, { ...node, status: { ...node.status, conditions } }, { subresource: 'status', signal })
          events.event(node, 'Normal', 'NodeNotReady', `Node ${name} status is now: NodeNotReady`)
        }
      }
      const evicting = isAnyHeard() || (ready.size > 0 && isEmptied(node))
      const taints = taintsFor(node, evicting, clock.now())
      if (taints)
        node = await client.patch(
          Node,
          refOf(node),
          'merge',
          { metadata: { resourceVersion: node.metadata.resourceVersion }, spec: { taints } },
          { signal },
        )
      if (readiness(node) === 'Unknown') await markPodsNotReady(node, signal)
      if (quiet < grace) return after(grace - quiet)
      return evicting ? done : after(pulse)
    },
  }
}
