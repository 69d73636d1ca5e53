// One container of a pod through its processes: starts it in its turn, runs its hooks and probes, stops
// it, takes in how it ended, and clears away what is no longer needed. What is to happen, and when, the
// pod's worker decides; every call returns at once and pokes the worker when something has changed.

import { rm } from 'node:fs/promises'
import { ageOf, timestamp } from '#api/clock.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import type { ContainerState } from '../../runtime/runtime.ts'
import type { PodPrerequisites } from '../sandbox/prerequisites.ts'
import { fullName } from '../status/status.ts'
import { attempted } from '../worker/backoff.ts'
import type { PodDeps } from '../worker/deps.ts'
import { runHook } from './hooks.ts'
import { check } from './probe.ts'
import { type Health, startProber } from './prober.ts'
import { type ContainerRecord, type ContainerRun, processOf } from './record.ts'
import { startContainer } from './start.ts'
import { startFailed } from './start-failure.ts'
import { hurry, stopContainer } from './stop.ts'
import { terminationMessage } from './termination.ts'

/** What a container's worker knows of the pod that it is in. */
export type PodContext = {
  pod: () => Pod
  records: readonly ContainerRecord[]
  prerequisites: PodPrerequisites
  deps: PodDeps
  /** Ends with the agent's interest in the pod. */
  signal: AbortSignal
  poke: () => void
  event: (type: 'Normal' | 'Warning', reason: string, message: string, fieldPath: string) => void
  /** Keeps track of work under way; `lasting` work is not waited for when the agent closes. */
  run: (work: Promise<unknown>, lasting?: boolean) => void
  /** Resolves when the start before has succeeded or failed; `over` lets the next one go. */
  takeTurn: () => { turn: Promise<void>; over: () => void }
}

export class ContainerWorker {
  readonly record: ContainerRecord
  readonly #context: PodContext
  readonly #holds = new Map<string, () => void>()
  /** Exits heard of before the start that they end has returned. */
  readonly #early = new Map<string, ContainerState>()

  constructor(record: ContainerRecord, context: PodContext) {
    this.record = record
    this.#context = context
  }

  start(attempt: number, now: number): void {
    const { record } = this
    const { current } = record
    if (current && !current.stale) record.backoff = attempted(record.backoff, now, current.endedAt)
    const { turn, over } = this.#context.takeTurn()
    const abort = new AbortController()
    record.task = 'starting'
    record.startAbort = abort
    record.starting = this.#tryStart(attempt, turn, abort.signal).finally(() => {
      over()
      record.starting = undefined
      if (record.task === 'starting') record.task = undefined
      this.#early.clear()
      this.#context.poke()
    })
    this.#context.run(record.starting)
  }

  stop({ graceSeconds, message }: { graceSeconds: number; message: string }, now: number): void {
    const { record } = this
    const { deps, run, poke } = this.#context
    record.stopBy = now + graceSeconds * 1000
    if (record.task === 'stopping') return run(hurry({ record, deps }), true)
    record.task = 'stopping'
    record.startAbort?.abort()
    record.prober?.stop()
    const stopping = this.#tryStop(message).finally(() => {
      record.task = undefined
      record.stopBy = undefined
      poke()
    })
    run(stopping, true)
  }

  /** Whether the exit is of this container. */
  exited(state: ContainerState): boolean {
    const { record } = this
    if (record.container.name !== state.spec.name) return false
    if (record.current?.id === state.id) this.#context.run(this.#ended(state))
    else if (record.starting) this.#early.set(state.id, state)
    return true
  }

  /**
   * Takes over what a restarted agent found: what runs is not started again. Resolves with the ids that
   * it knows, once what runs is looked after; `before` is what was known of its health.
   */
  async adopt(found: readonly ContainerState[], before: (id: string) => Health | undefined): Promise<string[]> {
    const { record } = this
    const { deps, prerequisites, signal, run } = this.#context
    const own = found.filter(({ spec, phase }) => spec.name === record.container.name && phase !== 'created')
    const seen = (state: ContainerState): ContainerRun => ({ ...processOf(state, deps.host.bootID), endedAt: deps.clock.monotonic() })
    const newestFirst = own.sort((a, b) => b.spec.attempt - a.spec.attempt).map(seen)
    const [current, previous] = newestFirst
    const kept = newestFirst.slice(0, 2)
    for (const { id, imageKey } of kept) if (imageKey) this.#holds.set(id, deps.images.hold(imageKey))
    // What it has is what was last told of it.
    record.current = current && { ...current, resources: record.allotted }
    record.previous = previous
    if (current?.phase === 'running') {
      run(prerequisites.volumes(signal))
      run(prerequisites.files())
      await prerequisites.sandbox().catch(() => undefined)
      this.#watch(ageOf(deps.clock, current.startedAt), before(current.id))
    } else if (current) {
      await this.#readEnd(current)
    }
    return kept.map(({ id }) => id)
  }

  /** Removes every trace in the runtime. */
  async discard(): Promise<void> {
    const { current, previous } = this.record
    for (const process of [current, previous]) if (process) await this.#remove(process)
  }

  /** Lets go; a process runs on. */
  close(): void {
    this.record.startAbort?.abort()
    this.record.prober?.stop()
  }

  event = (type: 'Normal' | 'Warning', reason: string, message: string): void => {
    const { init, ephemeral, container } = this.record
    const list = init ? 'initContainers' : ephemeral ? 'ephemeralContainers' : 'containers'
    this.#context.event(type, reason, message, `spec.${list}{${container.name}}`)
  }

  async #tryStart(attempt: number, turn: Promise<void>, signal: AbortSignal): Promise<void> {
    const { record, event } = this
    const { deps, pod, records, prerequisites, signal: podSignal } = this.#context
    try {
      const { process, release } = await startContainer({
        pod: pod(),
        record,
        records,
        attempt,
        prerequisites,
        deps,
        event,
        turn,
        signal,
        podSignal,
      })
      this.#holds.set(process.id, release)
      this.#take(process)
      await this.#settle(signal)
    } catch (error) {
      if (signal.aborted) return
      deps.log.debug({ err: error, pod: fullName(pod()), container: record.container.name }, 'a container did not start')
      const { process, message } = startFailed(record, error, attempt, { clock: deps.clock, id: deps.newID() })
      if (message) event('Warning', 'Failed', message)
      if (process) this.#take(process)
    }
  }

  /** A new process takes its place; of those before it, one is kept for its log and its end. */
  #take(process: ContainerRun): void {
    const { record } = this
    const { run, poke } = this.#context
    const old = record.previous
    record.previous = record.current
    record.current = process
    record.waiting = undefined
    record.retryAt = undefined
    record.pullBackoff = undefined
    record.condemned = undefined
    record.postStartDone = false
    if (old) run(this.#remove(old, { log: true }))
    const early = this.#early.get(process.id)
    if (early) run(this.#ended(early))
    poke()
  }

  /** From its first moment on: the postStart hook, then the probes. */
  async #settle(signal: AbortSignal): Promise<void> {
    const { record } = this
    const postStart = record.container.lifecycle?.postStart
    if (postStart) {
      const { ok, output } = await runHook(postStart, { record, ip: this.#ip, deps: this.#context.deps, signal })
      if (signal.aborted || record.current?.phase !== 'running') return
      if (!ok) {
        this.event('Warning', 'FailedPostStartHook', `PostStartHook failed: ${output}`)
        record.condemned = { message: `Container ${record.container.name} failed its postStart hook` }
        return
      }
    }
    this.#watch(0)
  }

  #watch(age: number, before?: Health): void {
    const { record, event } = this
    const { deps, poke, signal } = this.#context
    const { container, current } = record
    if (current?.phase !== 'running' || signal.aborted) return
    const { clock, runtime } = deps
    record.postStartDone = true
    record.prober = startProber({
      container,
      age,
      before,
      clock,
      check: (probe, signal) => check(probe, { container, id: current.id, ip: this.#ip, runtime, signal }),
      onChange: poke,
      onFailure: (kind, output) => {
        const word = { startup: 'Startup', readiness: 'Readiness', liveness: 'Liveness' }[kind]
        event('Warning', 'Unhealthy', `${word} probe failed: ${output}`)
      },
      onGiveUp: (kind, { terminationGracePeriodSeconds: graceSeconds }) => {
        record.condemned = { message: `Container ${container.name} failed ${kind} probe, will be restarted`, graceSeconds }
        poke()
      },
    })
    poke()
  }

  async #tryStop(message: string): Promise<void> {
    const { record, event } = this
    await record.starting
    if (record.current?.phase !== 'running') return
    const { id } = record.current
    event('Normal', 'Killing', message)
    await stopContainer({ record, ip: this.#ip, deps: this.#context.deps, event })
    const state = await this.#context.deps.runtime.state(id)
    if (record.current.id === id) await this.#ended(state)
  }

  /** Takes in how the process ended; undefined: nobody knows. */
  async #ended(state: ContainerState | undefined): Promise<void> {
    const { record } = this
    const { deps, poke } = this.#context
    const { current } = record
    if (!current || current.phase === 'exited') return
    record.startAbort?.abort()
    const { terminationLog, logPath } = current
    const message = await terminationMessage(record.container, state?.exitCode, { message: terminationLog, log: logPath })
    if (record.current !== current) return
    record.prober?.stop()
    record.prober = undefined
    record.condemned = undefined
    record.postStartDone = false
    const finishedAt = state?.finishedAt ?? timestamp(deps.clock.now())
    record.current = {
      ...current,
      ...(state && processOf(state, deps.host.bootID)),
      phase: 'exited',
      finishedAt,
      endedAt: deps.clock.monotonic(),
      message,
    }
    poke()
  }

  async #readEnd(process: ContainerRun): Promise<void> {
    const { record } = this
    const message = await terminationMessage(record.container, process.exitCode, { message: process.terminationLog, log: process.logPath })
    if (message && record.current?.id === process.id) record.current = { ...record.current, message }
  }

  async #remove({ id, terminationLog, logPath }: ContainerRun, { log = false } = {}): Promise<void> {
    await this.#context.deps.runtime.remove(id)
    this.#holds.get(id)?.()
    this.#holds.delete(id)
    if (terminationLog) await rm(terminationLog, { force: true })
    if (log && logPath) await rm(logPath, { force: true })
  }

  get #ip(): string {
    return this.#context.prerequisites.ips[0] ?? this.#context.pod().status?.podIP ?? ''
  }
}
