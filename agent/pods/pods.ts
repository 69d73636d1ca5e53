// The pods of this node: a worker for each that the API has here, and for each that it no longer has
// and that is still around. Call `adopt` once the API's pods are known, then tell of every change.
// Closing leaves all containers running; the next agent finds them.

import type { Pod } from '#api/types/core-v1.gen.ts'
import type { ContainerState } from '../runtime/runtime.ts'
import type { PodDeps } from './deps.ts'
import { bestEffort } from './qos.ts'
import type { Labels } from './slot.ts'
import { PodWorker } from './worker.ts'

export interface Pods {
  /** Takes over what an earlier agent left: the pods that `assigned` still has, and the end of all others. */
  adopt(assigned: readonly Pod[]): Promise<void>
  /** The pod is new here or has changed. */
  set(pod: Pod): void
  /** The pod is gone from the API; `last` is the last that it was. */
  remove(last: Pod): void
  /** Resolves when no pod is left. */
  idle(): Promise<void>
  close(): Promise<void>
}

export function openPods(deps: PodDeps): Pods {
  const workers = new Map<string, PodWorker>()
  const idle = new Set<() => void>()
  let adopted = false
  let closed = false
  const silence = deps.runtime.onExit((state) => workers.get(state.spec.pod.uid)?.exited(state))

  function open(pod: Pod, found: ContainerState[] = [], gone = false): void {
    const { uid } = pod.metadata
    const worker = new PodWorker({ pod, deps, found, gone, onDone: () => done(uid) })
    workers.set(uid, worker)
  }

  function done(uid: string): void {
    const worker = workers.get(uid)
    workers.delete(uid)
    void worker?.close()
    if (workers.size > 0) return
    for (const resolve of idle) resolve()
    idle.clear()
  }

  return {
    async adopt(assigned) {
      const [states, sandboxes, folders] = await Promise.all([
        deps.runtime.list(),
        deps.network.list(),
        deps.volumes.list(),
        deps.cgroups.create(bestEffort.cgroup, bestEffort.resources),
      ])
      const found = Map.groupBy(states, ({ spec }) => spec.pod.uid)
      for (const pod of assigned) open(pod, found.get(pod.metadata.uid))
      for (const uid of new Set([...found.keys(), ...sandboxes, ...folders])) {
        if (workers.has(uid)) continue
        const left = found.get(uid) ?? []
        deps.log.info({ uid, containers: left.length }, 'bringing down a pod that the API no longer has')
        open(orphan(uid, left), left, true)
      }
      adopted = true
    },
    set(pod) {
      if (closed) return
      if (!adopted) throw new Error('pods are set before what was left of them is adopted')
      const worker = workers.get(pod.metadata.uid)
      if (worker) worker.update(pod)
      else open(pod)
    },
    remove(last) {
      workers.get(last.metadata.uid)?.remove(last)
    },
    idle: () => (workers.size === 0 ? Promise.resolve() : new Promise((resolve) => idle.add(resolve))),
    async close() {
      closed = true
      silence()
      await Promise.all([...workers.values()].map((worker) => worker.close()))
      workers.clear()
    },
  }
}

/** As much of a pod as its containers tell, enough to bring it down. */
function orphan(uid: string, left: readonly ContainerState[]): Pod {
  const { name = 'unknown', namespace = '' } = left[0]?.spec.pod ?? {}
  const grace = Number((left[0]?.spec.labels as Partial<Labels> | undefined)?.grace ?? 30)
  const containers = [...new Set(left.map(({ spec }) => spec.name))].map((container) => ({ name: container, resources: {} }))
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { uid, name, namespace, resourceVersion: '', deletionGracePeriodSeconds: grace },
    spec: { containers, terminationGracePeriodSeconds: grace },
    status: {},
  }
}
