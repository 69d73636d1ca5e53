// What to do next for a pod, from what it should be and what its containers are: a pure function, run
// again after every change. It never waits: what must wait says until when.
//
// The order of things is the kubelet's. Init containers run one after another, each to its end; one
// with restartPolicy Always (a sidecar) only until it has started, and is kept running from then on.
// Then all containers run, restarted as the pod's policy says. At the end the others stop before the
// sidecars, and those in reverse order.

import { rounded } from '#api/schema/exact.ts'
import type { Container, Pod } from '#api/types/core-v1.gen.ts'
import { type Backoff, nextAttempt } from './backoff.ts'

/** What is known of one container. Times in milliseconds of the monotonic clock, here as below. */
export type View = {
  /** Its newest process, if it ever had one. */
  last?: {
    phase: 'running' | 'exited'
    exitCode?: number
    /** When this agent saw it end. */
    endedAt?: number
    /** It ended before the node last booted. */
    stale?: boolean
  }
  /** The number of its next process, from 0. */
  next: number
  /** Work under way; `stopBy` is the deadline of a stop. */
  task?: 'starting' | 'stopping'
  stopBy?: number
  /** Its startup probe and postStart hook are through. */
  started: boolean
  /** A probe gave up on it, or its hook failed: why it must go. */
  condemned?: { message: string; graceSeconds?: number }
  /** The pod now names another image than the one it runs. */
  changed?: boolean
  /** A start that failed before there was a process is not tried again before this. */
  retryAt?: number
  backoff?: Backoff
}

export type PodView = {
  pod: Pod
  now: number
  views: ReadonlyMap<string, View>
  /** When the pod started here; its deadline counts from it. */
  startedAt: number
  /** The pod is over, whatever its containers do: it failed as a whole, or was over before a restart of the agent. */
  over?: boolean
  /** The pod is no more in the API. */
  gone?: boolean
  /** When its end began, as this agent first saw it: the deletion's timestamp is of another clock. After a restart of the agent the grace begins anew, as the kubelet's. */
  endingSince?: number
  /** Containers, network and volumes are released. */
  released?: boolean
}

export type Action =
  | { do: 'start'; container: string; attempt: number }
  | { do: 'stop'; container: string; graceSeconds: number; message: string }
  | { do: 'fail'; reason: string; message: string }
  /** The end has begun: no container will start any more. */
  | { do: 'end' }
  | { do: 'release' }
  | { do: 'delete' }

export type Plan = {
  actions: Action[]
  /** Look again then, even if nothing happens. */
  wakeAt?: number
  /** Containers that wait out their crash loop, and until when. */
  crashLooping: ReadonlyMap<string, number>
  /** Every container is past its last run. */
  finished: boolean
}

export const isSidecar = (container: Container): boolean => container.restartPolicy === 'Always'

/** The pod's grace period at its end, in seconds. */
export function graceOf(pod: Pod): number {
  return rounded(pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30)
}

export function plan(view: PodView): Plan {
  const { pod, now } = view
  if (view.gone || view.over || pod.metadata.deletionTimestamp !== undefined) return end(view)
  const deadline = pod.spec.activeDeadlineSeconds
  const deadlineAt = deadline === undefined ? undefined : view.startedAt + rounded(deadline) * 1000
  if (deadlineAt !== undefined && now >= deadlineAt) {
    const message = 'Pod was active on the node longer than the specified deadline'
    return { actions: [{ do: 'fail', reason: 'DeadlineExceeded', message }], crashLooping: new Map(), finished: false }
  }
  if (pod.spec.containers.every((container) => settled(view, container))) return end(view)
  const steps = new Steps(view)
  // Whoever looks into a pod wants to see one that gets no further, too.
  for (const container of pod.spec.ephemeralContainers ?? []) steps.keep(container, 'Never')
  const initialised = initialise(view, steps)
  if (initialised === 'failed') return end(view)
  if (initialised) {
    for (const container of pod.spec.containers) steps.keep(container, pod.spec.restartPolicy ?? 'Always')
  }
  if (deadlineAt !== undefined) steps.wake(deadlineAt)
  return steps.plan()
}

/** Moves the init containers on. True once the others may run. */
function initialise(view: PodView, steps: Steps): boolean | 'failed' {
  const { pod } = view
  const policy = pod.spec.restartPolicy ?? 'Always'
  const begun = pod.spec.containers.some((container) => {
    const last = view.views.get(container.name)?.last
    return last !== undefined && !last.stale
  })
  for (const container of pod.spec.initContainers ?? []) {
    const own = view.views.get(container.name)
    if (isSidecar(container)) {
      steps.keep(container, 'Always')
      if (!begun && !(own?.last?.phase === 'running' && own.started)) return false
      continue
    }
    if (begun) continue
    const exited = own?.last?.phase === 'exited' && !own.task
    if (exited && own.last?.exitCode === 0 && !own.changed) continue
    if (exited && policy === 'Never') return 'failed'
    steps.keep(container, policy === 'Never' ? 'Never' : 'OnFailure')
    return false
  }
  return true
}

/** Whether the container has run for the last time. */
function settled({ pod, views }: PodView, container: Container): boolean {
  const own = views.get(container.name)
  if (own?.last?.phase !== 'exited' || own.task || own.changed) return false
  return !restarts(pod.spec.restartPolicy ?? 'Always', own.last.exitCode)
}

type Policy = NonNullable<Pod['spec']['restartPolicy']>

const restarts = (policy: Policy, exitCode: number | undefined): boolean =>
  policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0)

class Steps {
  readonly #view: PodView
  readonly #actions: Action[] = []
  readonly #crashLooping = new Map<string, number>()
  #wakeAt: number | undefined

  constructor(view: PodView) {
    this.#view = view
  }

  /** Keeps one container as it should be: running, or ended as its policy says. */
  keep(container: Container, policy: Policy): void {
    const own = this.#view.views.get(container.name)
    if (!own || own.task) return
    const { name } = container
    if (own.last?.phase === 'running') {
      const grace = rounded(this.#view.pod.spec.terminationGracePeriodSeconds ?? 30)
      if (own.condemned) {
        const { message, graceSeconds = grace } = own.condemned
        this.#actions.push({ do: 'stop', container: name, graceSeconds: rounded(graceSeconds), message })
      } else if (own.changed) {
        const message = `Container ${name} definition changed, will be restarted`
        this.#actions.push({ do: 'stop', container: name, graceSeconds: grace, message })
      }
      return
    }
    if (own.last && !own.changed && !restarts(policy, own.last.exitCode)) return
    const { now } = this.#view
    const endedAt = own.last?.endedAt
    const loopEnds = endedAt === undefined ? now : nextAttempt(own.backoff, endedAt)
    if (loopEnds > now) {
      this.#crashLooping.set(name, loopEnds)
      this.wake(loopEnds)
    } else if ((own.retryAt ?? now) > now) {
      this.wake(own.retryAt!)
    } else {
      this.#actions.push({ do: 'start', container: name, attempt: own.next })
    }
  }

  wake(at: number): void {
    this.#wakeAt = Math.min(this.#wakeAt ?? at, at)
  }

  plan(): Plan {
    return { actions: this.#actions, wakeAt: this.#wakeAt, crashLooping: this.#crashLooping, finished: false }
  }
}

/** Brings everything down: the others, then the sidecars from the last to the first, then what they stood on. */
function end(view: PodView): Plan {
  const { pod, now, views } = view
  const actions: Action[] = []
  if (view.endingSince === undefined) actions.push({ do: 'end' })
  const stopBy = (view.endingSince ?? now) + graceOf(pod) * 1000
  const alive = (container: Container): boolean => {
    const own = views.get(container.name)
    return own?.last?.phase === 'running' || own?.task !== undefined
  }
  const stop = (container: Container): void => {
    const own = views.get(container.name)
    if (own?.task === 'stopping' && (own.stopBy ?? 0) <= stopBy) return
    const graceSeconds = Math.max(0, Math.ceil((stopBy - now) / 1000))
    actions.push({ do: 'stop', container: container.name, graceSeconds, message: `Stopping container ${container.name}` })
  }

  const inits = pod.spec.initContainers ?? []
  const others = [...pod.spec.containers, ...(pod.spec.ephemeralContainers ?? [])]
  const mains = [...inits.filter((container) => !isSidecar(container)), ...others].filter(alive)
  const sidecars = inits.filter((container) => isSidecar(container) && alive(container))
  for (const container of mains) stop(container)
  if (mains.length === 0 && sidecars.length > 0) stop(sidecars.at(-1)!)

  const finished = mains.length === 0 && sidecars.length === 0
  if (finished && !view.released) actions.push({ do: 'release' })
  else if (finished && pod.metadata.deletionTimestamp !== undefined && !view.gone) actions.push({ do: 'delete' })
  return { actions, crashLooping: new Map(), finished }
}
