// The pods of this node: a worker for each that the API has here, and for each that it no longer has
// and that is still around. Open; `set` every pod that the API has, or had when it was last heard; `heard`, once
// it has been; then tell of every change.
// Closing leaves all containers running; the next agent finds them.

import type { Pod } from '#api/types/core-v1.gen.ts'
import type { ContainerState } from '../runtime/runtime.ts'
import type { Labels } from './containers/record.ts'
import { bestEffort } from './resources/qos.ts'
import type { Amounts } from './resources/resize.ts'
import type { PodDeps } from './worker/deps.ts'
import { PodWorker } from './worker/worker.ts'

export interface Pods {
  /** The pod is new here or has changed. */
  set(pod: Pod): void
  /** The pod is gone from the API; `last` is the last that it was. */
  remove(last: Pod): void
  /** All pods of the API are set by now, as it has them: what else an earlier agent left is brought down. */
  heard(): void
  /** As this node knows them, whatever the API has been told. */
  list(): Pod[]
  /** Resolves when no pod is left. */
  idle(): Promise<void>
  close(): Promise<void>
}

export async function openPods(deps: PodDeps): Promise<Pods> {
  const workers = new Map<string, PodWorker>()
  const idle = new Set<() => void>()
  /** What an earlier agent left and nobody has taken over yet, by pod and container. */
  const found = new Map<string, Map<string, ContainerState>>()
  const note = (state: ContainerState) => {
    const { uid } = state.spec.pod
    const ofPod = found.get(uid) ?? new Map<string, ContainerState>()
    found.set(uid, ofPod.set(state.id, state))
  }
  const silence = deps.runtime.onExit((state) => {
    const worker = workers.get(state.spec.pod.uid)
    if (worker) worker.exited(state)
    else note(state)
  })
  await deps.volumes.recover()
  const [states, sandboxes, folders] = await Promise.all([
    deps.runtime.list(),
    deps.network.list(),
    deps.volumes.list(),
    deps.cgroups.create(bestEffort.cgroup, bestEffort.resources),
  ])
  for (const state of states) if (!found.get(state.spec.pod.uid)?.has(state.id)) note(state)
  for (const uid of [...sandboxes, ...folders]) if (!found.has(uid)) found.set(uid, new Map())

  function open(pod: Pod, gone: boolean): void {
    const { uid } = pod.metadata
    const left = [...(found.get(uid)?.values() ?? [])]
    found.delete(uid)
    workers.set(uid, new PodWorker({ pod, deps, found: left, gone, taken: () => takenBeside(uid), onDone: () => done(uid) }))
  }

  function takenBeside(uid: string): Amounts {
    const others = [...workers].filter(([other]) => other !== uid).map(([, worker]) => worker.allotted)
    return { cpu: others.reduce((sum, { cpu }) => sum + cpu, 0), memory: others.reduce((sum, { memory }) => sum + memory, 0) }
  }

  function done(uid: string): void {
    const worker = workers.get(uid)
    workers.delete(uid)
    void worker?.close()
    // There may be room now for what another waits for.
    for (const other of workers.values()) other.poke()
    if (workers.size > 0) return
    for (const resolve of idle) resolve()
    idle.clear()
  }

  return {
    set(pod) {
      const worker = workers.get(pod.metadata.uid)
      if (worker) worker.update(pod)
      else open(pod, false)
    },
    remove(last) {
      workers.get(last.metadata.uid)?.remove(last)
    },
    heard() {
      for (const worker of workers.values()) worker.heard()
      for (const [uid, left] of found) {
        deps.log.info({ uid, containers: left.size }, 'bringing down a pod that the API no longer has')
        open(orphan(uid, [...left.values()]), true)
      }
    },
    list: () => [...workers.values()].map((worker) => worker.seen),
    idle: () => (workers.size === 0 ? Promise.resolve() : new Promise((resolve) => idle.add(resolve))),
    async close() {
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
