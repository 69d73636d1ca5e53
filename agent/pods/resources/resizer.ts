// Keeps a pod's containers at the resources that the pod asks for: allots them where the node has room, and gives
// them to the processes. Looked at with every step of its pod; what is under way pokes when it is done.

import type { Pod } from '#api/types/core-v1.gen.ts'
import type { ContainerRecord } from '../containers/record.ts'
import type { PodPrerequisites } from '../sandbox/prerequisites.ts'
import type { Situation } from '../status/situation.ts'
import type { PodDeps } from '../worker/deps.ts'
import { isLagging, mustRestart } from './allotment.ts'
import { type Amounts, actuate, lasts, type Obstacle, obstacle, requestsOf, unallotted } from './resize.ts'

/** A limit below what is in use is refused by the kernel until some of that is given back. */
const RETRY_MS = 5_000

export type ResizerOptions = {
  pod: () => Pod
  records: readonly ContainerRecord[]
  prerequisites: PodPrerequisites
  deps: Pick<PodDeps, 'cgroups' | 'runtime' | 'clock' | 'host' | 'isolation'>
  /** What the node's other pods have been allotted. */
  taken: () => Amounts
  run: (work: Promise<unknown>) => void
  poke: () => void
}

export class Resizer {
  readonly #options: ResizerOptions
  #pending: Obstacle | undefined
  /** Something is allotted that the pod's cgroup does not have yet. */
  #due = false
  #task: Promise<void> | undefined
  #failure: string | undefined
  #retryAt: number | undefined

  constructor(options: ResizerOptions) {
    this.#options = options
  }

  get retryAt(): number | undefined {
    return this.#retryAt
  }

  /** What the pod's containers are allotted. */
  get allotted(): Amounts {
    return requestsOf(this.#options.records.filter(lasts).map(({ allotted }) => ({ resources: allotted })))
  }

  /** For the pod's conditions; nothing is in progress with one that is to go. */
  situation(isLeaving: boolean): Situation['resize'] {
    const inProgress = (this.#due || this.#options.records.some((record) => isLagging(record))) && !isLeaving
    const failure = this.#failure
    return {
      ...(this.#pending && { pending: this.#pending }),
      ...(inProgress && { inProgress: failure ? { reason: 'Error', message: failure } : {} }),
    }
  }

  step(now: number): void {
    const { records, deps, taken, run, poke } = this.#options
    const asking = unallotted(records)
    const { allocatable } = deps.host
    this.#pending = asking.length > 0 ? obstacle(records, { allocatable, taken: taken() }) : undefined
    if (asking.length > 0 && !this.#pending) {
      for (const record of asking) record.allotted = record.container.resources
      this.#due = true
      this.#failure = undefined
      // A policy may want a restart for it.
      poke()
    }
    if (!this.#due && !records.some((record) => isLagging(record) && !mustRestart(record))) return
    if (this.#task || (this.#retryAt ?? 0) > now) return
    this.#task = this.#actuate().finally(() => {
      this.#task = undefined
      poke()
    })
    run(this.#task)
  }

  async #actuate(): Promise<void> {
    const { pod, records, prerequisites, deps } = this.#options
    this.#due = false
    try {
      await actuate(pod(), records, {
        pod: async (resources) => {
          const { pidsLimit: pids } = deps.isolation
          // What is not given becomes unlimited.
          for (const cgroup of prerequisites.cgroups)
            await deps.cgroups.limit(cgroup, { ...resources, ...(pids !== undefined && { pids }) })
        },
        container: (id, resources) => deps.runtime.resize(id, resources),
      })
      this.#failure = undefined
    } catch (error) {
      this.#failure = error instanceof Error ? error.message : String(error)
      this.#due = true
      this.#retryAt = deps.clock.monotonic() + RETRY_MS
    }
  }
}
