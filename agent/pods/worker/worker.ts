// One pod of this node. After every change (of the pod, of a container, of time) `#step` looks at all
// that is known, asks `plan` what to do, and sets it going; it never waits itself. Work that takes time
// reports back by changing what is known and poking. So there is one writer of the pod's state, a
// deletion is acted on while an image is still being pulled, and what can go on side by side does.

import { rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { ageOf, type Timer } from '#api/clock.ts'
import { isStatus } from '#api/errors.ts'
import { Pod } from '#api/kinds/index.ts'
import { isTerminal } from '#api/pods.ts'
import type { Container, PodStatus } from '#api/types/core-v1.gen.ts'
import type { ContainerState } from '../../runtime/runtime.ts'
import { ContainerWorker, type PodContext } from '../containers/container-worker.ts'
import { type ContainerRecord, ID_PREFIX, slotOfEphemeral, slotsOf, viewOf } from '../containers/record.ts'
import { logFolder } from '../containers/start.ts'
import { type Amounts, requestsOf } from '../resources/resize.ts'
import { Resizer } from '../resources/resizer.ts'
import { refusal } from '../sandbox/isolation.ts'
import { PodPrerequisites } from '../sandbox/prerequisites.ts'
import { referencesOf } from '../sandbox/references.ts'
import { fullName, statusOf } from '../status/status.ts'
import { StatusWriter } from '../status/writer.ts'
import type { PodDeps } from './deps.ts'
import { type Action, type Plan, plan } from './plan.ts'

export type WorkerOptions = {
  pod: Pod
  deps: PodDeps
  /** Its containers as the runtime has them, after a restart of the agent. */
  found: ContainerState[]
  /** The pod is no more in the API. */
  gone?: boolean
  /** What the node's other pods have been allotted. */
  taken: () => Amounts
  /** Nothing is left of the pod, here or in the API. */
  onDone: () => void
}

/** A pod of which nothing is known yet but that it should be here. */
export const unseen = (pod: Pod): Pod => ({ ...pod, status: { phase: 'Pending' } })

/** Between attempts to take a pod down, doubled. */
const RETRY_MIN_MS = 500
const RETRY_MAX_MS = 60_000

export class PodWorker {
  readonly #deps: PodDeps
  readonly #onDone: () => void
  readonly #records: ContainerRecord[]
  readonly #context: PodContext
  readonly #workers: ContainerWorker[]
  readonly #prerequisites: PodPrerequisites
  readonly #writer: StatusWriter
  readonly #resizer: Resizer
  readonly #closing = new AbortController()
  readonly #tasks = new Set<Promise<unknown>>()
  /** As its status tells. */
  readonly #startedAt: number
  /** The same by the monotonic clock: its deadline counts from it. */
  readonly #begunAt: number
  /** It was over before this agent saw it: its status is history, and stays as it is. */
  readonly #history: boolean
  readonly #finishing = { busy: false, failures: 0, retryAt: 0 }
  #objectHolds: (() => void)[] = []
  #pod: Pod
  #status: PodStatus | undefined
  #turn: Promise<void> = Promise.resolve()
  #poked = false
  #wake: Timer | undefined
  #gone: boolean
  #failed: { reason: string; message: string } | undefined
  #endingSince: number | undefined
  /** A pod that stays in the API keeps its containers' records and logs. */
  #released: 'no' | 'prerequisites' | 'all' = 'no'
  #refreshing: Promise<void> | undefined
  /** Something changed since the refresh under way began. */
  #stale = false
  #looping: ReadonlySet<string> = new Set()

  constructor({ pod, deps, found, gone = false, taken, onDone }: WorkerOptions) {
    this.#pod = pod
    this.#deps = deps
    this.#onDone = onDone
    this.#prerequisites = new PodPrerequisites(pod, deps)
    this.#writer = new StatusWriter(pod, deps)
    this.#startedAt = pod.status?.startTime ? Date.parse(pod.status.startTime) : deps.clock.now()
    this.#begunAt = deps.clock.monotonic() - ageOf(deps.clock, pod.status?.startTime)
    this.#history = isTerminal(pod)
    this.#records = slotsOf(pod)
    this.#context = {
      pod: () => this.#pod,
      records: this.#records,
      prerequisites: this.#prerequisites,
      deps,
      signal: this.#closing.signal,
      poke: () => this.poke(),
      event: (type, reason, message, fieldPath) => deps.events.event(this.#pod, type, reason, message, { fieldPath }),
      run: (work, lasting) => this.#run(work, lasting),
      takeTurn: () => {
        const turn = this.#turn
        const { promise, resolve } = Promise.withResolvers<void>()
        this.#turn = promise
        return { turn, over: resolve }
      },
    }
    this.#workers = this.#records.map((record) => new ContainerWorker(record, this.#context))
    this.#resizer = new Resizer({ ...this.#context, taken })
    this.#gone = gone
    for (const { spec } of found) this.#prerequisites.cgroups.add(dirname(spec.cgroup))
    // A pod that has containers here was let in before; what it was promised then still holds.
    const refused = !this.#history && !gone && found.length === 0 ? refusal(pod, deps.isolation) : undefined
    if (refused) {
      this.#failed = { reason: refused.reason, message: `Pod was rejected: ${refused.message}` }
      deps.events.event(pod, 'Warning', refused.reason, refused.message)
    }
    if (!this.#history && !gone) this.#hold()
    // Only when all that was found is looked after again can the pod's state be told.
    this.#poked = found.length > 0
    if (this.#poked) this.#run(this.#adopt(found).finally(() => this.#stepSoon()))
    else this.poke()
  }

  /** The pod as the API has it now. */
  update(pod: Pod): void {
    const before = this.#pod.metadata
    this.#pod = pod
    this.#prerequisites.pod = pod
    for (const { record } of this.#workers) {
      const all: readonly Container[] =
        (record.init ? pod.spec.initContainers : record.ephemeral ? pod.spec.ephemeralContainers : pod.spec.containers) ?? []
      record.container = all.find(({ name }) => name === record.container.name) ?? record.container
    }
    for (const container of pod.spec.ephemeralContainers ?? []) {
      if (this.#records.some((record) => record.container.name === container.name)) continue
      const record = slotOfEphemeral(container, pod.status)
      this.#records.push(record)
      this.#workers.push(new ContainerWorker(record, this.#context))
    }
    const { labels, annotations } = pod.metadata
    if (!isDeepStrictEqual([labels, annotations], [before.labels, before.annotations])) this.#refresh()
    this.poke()
  }

  /** The pod is no more in the API: bring it down, within the grace that it was last given. */
  remove(last: Pod = this.#pod): void {
    this.#pod = last
    this.#gone = true
    this.#run(this.#writer.close())
    this.poke()
  }

  /** What `update` last told is what the API has: before, it may have been remembered. */
  heard(): void {
    this.#writer.heard(this.#pod.status ?? {})
    this.poke()
  }

  /** With its status of this moment, which the API may not have yet. */
  get seen(): Pod {
    return this.#status ? { ...this.#pod, status: this.#status } : unseen(this.#pod)
  }

  exited(state: ContainerState): void {
    this.#workers.find((worker) => worker.exited(state))
  }

  /** Lets go of the pod; its containers run on. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#wake?.cancel()
    for (const worker of this.#workers) worker.close()
    await this.#writer.close()
    await Promise.all(this.#tasks)
  }

  poke(): void {
    if (this.#poked) return
    this.#poked = true
    this.#stepSoon()
  }

  #stepSoon(): void {
    queueMicrotask(() => {
      this.#poked = false
      if (!this.#closing.signal.aborted) this.#step()
    })
  }

  #step(): void {
    const now = this.#deps.clock.monotonic()
    const released = this.#released === 'all' || (this.#released === 'prerequisites' && !this.#leaving)
    const next = plan({
      pod: this.#pod,
      now,
      views: new Map(this.#workers.map(({ record }) => [record.container.name, viewOf(record)])),
      startedAt: this.#begunAt,
      over: this.#history || this.#failed !== undefined,
      gone: this.#gone,
      endingSince: this.#endingSince,
      released,
    })
    for (const action of next.actions) this.#do(action, now)
    if (!next.finished && !this.#leaving && this.#endingSince === undefined) this.#resizer.step(now)
    this.#tellWaits(next, now)
    this.#publish(next)
    this.#sleepUntil(next.wakeAt, now)
    if (next.finished && this.#gone && released && !this.#finishing.busy) this.#onDone()
  }

  /** What the pod's containers are allotted; nothing once it is over. */
  get allotted(): Amounts {
    return this.#history || this.#failed || this.#released !== 'no' ? requestsOf([]) : this.#resizer.allotted
  }

  #do(action: Action, now: number): void {
    switch (action.do) {
      case 'start':
        return this.#worker(action.container).start(action.attempt, now)
      case 'stop':
        return this.#worker(action.container).stop(action, now)
      case 'fail':
        this.#failed = { reason: action.reason, message: action.message }
        this.#deps.events.event(this.#pod, 'Normal', action.reason, action.message)
        return this.poke()
      case 'end':
        this.#endingSince = now
        return
      case 'release':
        return this.#finish(() => this.#release())
      case 'delete':
        return this.#finish(() => this.#delete())
    }
  }

  /** Whether nothing of the pod is to stay, as opposed to one that is over and still to be looked at. */
  get #leaving(): boolean {
    return this.#gone || this.#pod.metadata.deletionTimestamp !== undefined
  }

  /** Releasing and deleting: one at a time, tried again until done. */
  #finish(work: () => Promise<void>): void {
    const finishing = this.#finishing
    const { clock, log } = this.#deps
    if (finishing.busy || finishing.retryAt > clock.monotonic()) return
    finishing.busy = true
    const attempt = async () => {
      try {
        await work()
        finishing.failures = 0
      } catch (error) {
        finishing.retryAt = clock.monotonic() + Math.min(RETRY_MIN_MS * 2 ** finishing.failures++, RETRY_MAX_MS)
        if (!this.#closing.signal.aborted) log.warn({ err: error, pod: fullName(this.#pod) }, 'could not take a pod down yet')
      } finally {
        finishing.busy = false
        this.poke()
      }
    }
    this.#run(attempt())
  }

  async #release(): Promise<void> {
    const all = this.#leaving
    for (const release of this.#objectHolds.splice(0)) release()
    await this.#refreshing
    if (all) await Promise.all(this.#workers.map((worker) => worker.discard()))
    await this.#prerequisites.release()
    if (all) await rm(logFolder(this.#deps, this.#pod), { recursive: true, force: true })
    this.#released = all ? 'all' : 'prerequisites'
  }

  async #delete(): Promise<void> {
    await this.#writer.flush()
    const { namespace, name, uid } = this.#pod.metadata
    const options = { gracePeriodSeconds: 0, preconditions: { uid }, signal: this.#closing.signal }
    try {
      await this.#deps.client.delete(Pod, { namespace, name }, options)
    } catch (error) {
      if (!isStatus(error, 'NotFound', 'Conflict')) throw error
    }
    // The watch will say that it is gone; until then a finalizer may keep it.
    this.#finishing.retryAt = this.#deps.clock.monotonic() + RETRY_MAX_MS
  }

  #publish({ crashLooping, finished }: Plan): void {
    if (this.#gone || this.#history) return
    const { ips } = this.#prerequisites
    const { host, clock } = this.#deps
    const situation = {
      pod: this.#pod,
      records: this.#records,
      ips,
      hostIPs: host.ips,
      startedAt: this.#startedAt,
      now: clock.now(),
      crashLooping,
      finished,
      resize: this.#resizer.situation(this.#leaving),
    }
    this.#status = statusOf({ ...situation, failed: this.#failed })
    this.#writer.set(this.#status)
  }

  /** One event for each wait of a crash loop, and one when a failed pull turns into backing off. */
  #tellWaits({ crashLooping }: Plan, now: number): void {
    for (const { record, event } of this.#workers) {
      const { name, image } = record.container
      if (crashLooping.has(name) && !this.#looping.has(name)) {
        event('Warning', 'BackOff', `Back-off restarting failed container ${name} in pod ${fullName(this.#pod)}`)
      }
      const later = record.waiting?.later
      if (!later || later.at > now) continue
      record.waiting = { reason: later.reason, message: later.message }
      event('Normal', 'BackOff', `Back-off pulling image "${image}"`)
      event('Warning', 'Failed', `Error: ${later.reason}`)
    }
    this.#looping = new Set(crashLooping.keys())
  }

  #sleepUntil(wakeAt: number | undefined, now: number): void {
    const refreshAt = this.#endingSince === undefined ? this.#prerequisites.refreshAt : undefined
    if (refreshAt !== undefined && refreshAt <= now) this.#refresh()
    const times = [
      wakeAt,
      refreshAt,
      this.#finishing.retryAt,
      this.#resizer.retryAt,
      ...this.#workers.map(({ record }) => record.waiting?.later?.at),
    ]
    const next = Math.min(...times.filter((at) => at !== undefined && at > now).map(Number))
    this.#wake?.cancel()
    this.#wake = Number.isFinite(next) ? this.#deps.clock.after(next - now, () => this.poke()) : undefined
  }

  /** Follows what the pod is made from: its volumes change with it, and what waits for it waits no more. */
  #hold(): void {
    const { namespace = '' } = this.#pod.metadata
    const changed = () => {
      for (const { record } of this.#workers) if (!record.pullBackoff) record.retryAt = undefined
      this.#refresh()
    }
    this.#objectHolds = referencesOf(this.#pod).map(({ kind, name }) =>
      this.#deps.objects.hold(kind, { namespace: kind.namespaced ? namespace : '', name }, changed),
    )
  }

  #refresh(): void {
    if (this.#endingSince !== undefined || this.#closing.signal.aborted) return
    if (this.#refreshing) return void (this.#stale = true)
    this.#refreshing = this.#prerequisites.refresh(this.#closing.signal).finally(() => {
      this.#refreshing = undefined
      const again = this.#stale
      this.#stale = false
      if (again) this.#refresh()
      this.poke()
    })
    this.#run(this.#refreshing)
  }

  async #adopt(found: ContainerState[]): Promise<void> {
    const { runtime } = this.#deps
    const { containerStatuses = [], initContainerStatuses = [], ephemeralContainerStatuses = [] } = this.#pod.status ?? {}
    const statuses = [...containerStatuses, ...initContainerStatuses, ...ephemeralContainerStatuses]
    const health = (id: string) => {
      const status = statuses.find(({ containerID }) => containerID === ID_PREFIX + id)
      return status && { started: status.started ?? status.ready, ready: status.ready }
    }
    const ids = await Promise.all(this.#workers.map((worker) => worker.adopt(found, health)))
    const known = new Set(ids.flat())
    for (const { id } of found) {
      if (!known.has(id)) this.#run(runtime.stop(id, { graceSeconds: 0 }).then(() => runtime.remove(id)))
    }
  }

  /** Keeps track of work; what it throws and does not handle itself is logged. */
  #run(work: Promise<unknown>, lasting = false): void {
    const task = work
      .catch((error: unknown) => {
        if (!this.#closing.signal.aborted) this.#deps.log.warn({ err: error, pod: fullName(this.#pod) }, 'a pod ran into trouble')
      })
      .finally(() => this.#tasks.delete(task))
    if (!lasting) this.#tasks.add(task)
  }

  #worker(name: string): ContainerWorker {
    return this.#workers.find(({ record }) => record.container.name === name)!
  }
}
