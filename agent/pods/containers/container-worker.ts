// One container of a pod through its processes: starts it in its turn, runs its hooks and probes, stops
// it, takes in how it ended, and clears away what is no longer needed. What is to happen, and when, the
// pod's worker decides; every call returns at once and pokes the worker when something has changed.

import { rm } from 'node:fs/promises'
import { ageOf, timestamp } from '#api/clock.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import type { ContainerState } from '../../runtime/runtime.ts'
import type { Ground } from '../sandbox/prerequisites.ts'
import { fullName } from '../status/status.ts'
import { attempted } from '../worker/backoff.ts'
import type { PodDeps } from '../worker/deps.ts'
import { runHook } from './hooks.ts'
import { check } from './probe.ts'
import { type Health, startProber } from './prober.ts'
import { type Process, processOf, type Slot } from './record.ts'
import { startContainer } from './start.ts'
import { setback } from './start-failure.ts'
import { hurry, stopContainer } from './stop.ts'
import { terminationMessage } from './termination.ts'

/** The pod around a container. */
export type Around = {
  pod: () => Pod
  slots: readonly Slot[]
  ground: Ground
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

export class Tender {
  readonly slot: Slot
  readonly #around: Around
  readonly #holds = new Map<string, () => void>()
  /** Exits heard of before the start that they end has returned. */
  readonly #early = new Map<string, ContainerState>()

  constructor(slot: Slot, around: Around) {
    this.slot = slot
    this.#around = around
  }

  start(attempt: number, now: number): void {
    const { slot } = this
    const { current } = slot
    if (current && !current.stale) slot.backoff = attempted(slot.backoff, now, current.endedAt)
    const { turn, over } = this.#around.takeTurn()
    const abort = new AbortController()
    slot.task = 'starting'
    slot.startAbort = abort
    slot.starting = this.#tryStart(attempt, turn, abort.signal).finally(() => {
      over()
      slot.starting = undefined
      if (slot.task === 'starting') slot.task = undefined
      this.#early.clear()
      this.#around.poke()
    })
    this.#around.run(slot.starting)
  }

  stop({ graceSeconds, message }: { graceSeconds: number; message: string }, now: number): void {
    const { slot } = this
    const { deps, run, poke } = this.#around
    slot.stopBy = now + graceSeconds * 1000
    if (slot.task === 'stopping') return run(hurry({ slot, deps }), true)
    slot.task = 'stopping'
    slot.startAbort?.abort()
    slot.prober?.stop()
    const stopping = this.#tryStop(message).finally(() => {
      slot.task = undefined
      slot.stopBy = undefined
      poke()
    })
    run(stopping, true)
  }

  /** Whether the exit is of this container. */
  exited(state: ContainerState): boolean {
    const { slot } = this
    if (slot.container.name !== state.spec.name) return false
    if (slot.current?.id === state.id) this.#around.run(this.#ended(state))
    else if (slot.starting) this.#early.set(state.id, state)
    return true
  }

  /**
   * Takes over what a restarted agent found: what runs is not started again. Resolves with the ids that
   * it knows, once what runs is looked after; `before` is what was known of its health.
   */
  async adopt(found: readonly ContainerState[], before: (id: string) => Health | undefined): Promise<string[]> {
    const { slot } = this
    const { deps, ground, signal, run } = this.#around
    const own = found.filter(({ spec, phase }) => spec.name === slot.container.name && phase !== 'created')
    const seen = (state: ContainerState): Process => ({ ...processOf(state, deps.host.bootID), endedAt: deps.clock.monotonic() })
    const newestFirst = own.sort((a, b) => b.spec.attempt - a.spec.attempt).map(seen)
    const [current, previous] = newestFirst
    const kept = newestFirst.slice(0, 2)
    for (const { id, imageKey } of kept) if (imageKey) this.#holds.set(id, deps.images.hold(imageKey))
    // What it has is what was last told of it.
    slot.current = current && { ...current, resources: slot.allotted }
    slot.previous = previous
    if (current?.phase === 'running') {
      run(ground.volumes(signal))
      run(ground.files())
      await ground.sandbox().catch(() => undefined)
      this.#watch(ageOf(deps.clock, current.startedAt), before(current.id))
    } else if (current) {
      await this.#readEnd(current)
    }
    return kept.map(({ id }) => id)
  }

  /** Removes every trace in the runtime. */
  async discard(): Promise<void> {
    const { current, previous } = this.slot
    for (const process of [current, previous]) if (process) await this.#remove(process)
  }

  /** Lets go; a process runs on. */
  close(): void {
    this.slot.startAbort?.abort()
    this.slot.prober?.stop()
  }

  event = (type: 'Normal' | 'Warning', reason: string, message: string): void => {
    const { init, ephemeral, container } = this.slot
    const list = init ? 'initContainers' : ephemeral ? 'ephemeralContainers' : 'containers'
    this.#around.event(type, reason, message, `spec.${list}{${container.name}}`)
  }

  async #tryStart(attempt: number, turn: Promise<void>, signal: AbortSignal): Promise<void> {
    const { slot, event } = this
    const { deps, pod, slots, ground, signal: podSignal } = this.#around
    try {
      const { process, release } = await startContainer({ pod: pod(), slot, slots, attempt, ground, deps, event, turn, signal, podSignal })
      this.#holds.set(process.id, release)
      this.#take(process)
      await this.#settle(signal)
    } catch (error) {
      if (signal.aborted) return
      deps.log.debug({ err: error, pod: fullName(pod()), container: slot.container.name }, 'a container did not start')
      const { process, message } = setback(slot, error, attempt, { clock: deps.clock, id: deps.newID() })
      if (message) event('Warning', 'Failed', message)
      if (process) this.#take(process)
    }
  }

  /** A new process takes its place; of those before it, one is kept for its log and its end. */
  #take(process: Process): void {
    const { slot } = this
    const { run, poke } = this.#around
    const old = slot.previous
    slot.previous = slot.current
    slot.current = process
    slot.waiting = undefined
    slot.retryAt = undefined
    slot.pullBackoff = undefined
    slot.condemned = undefined
    slot.settled = false
    if (old) run(this.#remove(old, { log: true }))
    const early = this.#early.get(process.id)
    if (early) run(this.#ended(early))
    poke()
  }

  /** From its first moment on: the postStart hook, then the probes. */
  async #settle(signal: AbortSignal): Promise<void> {
    const { slot } = this
    const postStart = slot.container.lifecycle?.postStart
    if (postStart) {
      const { ok, output } = await runHook(postStart, { slot, ip: this.#ip, deps: this.#around.deps, signal })
      if (signal.aborted || slot.current?.phase !== 'running') return
      if (!ok) {
        this.event('Warning', 'FailedPostStartHook', `PostStartHook failed: ${output}`)
        slot.condemned = { message: `Container ${slot.container.name} failed its postStart hook` }
        return
      }
    }
    this.#watch(0)
  }

  #watch(age: number, before?: Health): void {
    const { slot, event } = this
    const { deps, poke, signal } = this.#around
    const { container, current } = slot
    if (current?.phase !== 'running' || signal.aborted) return
    const { clock, runtime } = deps
    slot.settled = true
    slot.prober = startProber({
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
        slot.condemned = { message: `Container ${container.name} failed ${kind} probe, will be restarted`, graceSeconds }
        poke()
      },
    })
    poke()
  }

  async #tryStop(message: string): Promise<void> {
    const { slot, event } = this
    await slot.starting
    if (slot.current?.phase !== 'running') return
    const { id } = slot.current
    event('Normal', 'Killing', message)
    await stopContainer({ slot, ip: this.#ip, deps: this.#around.deps, event })
    const state = await this.#around.deps.runtime.state(id)
    if (slot.current.id === id) await this.#ended(state)
  }

  /** Takes in how the process ended; undefined: nobody knows. */
  async #ended(state: ContainerState | undefined): Promise<void> {
    const { slot } = this
    const { deps, poke } = this.#around
    const { current } = slot
    if (!current || current.phase === 'exited') return
    slot.startAbort?.abort()
    const { terminationLog, logPath } = current
    const message = await terminationMessage(slot.container, state?.exitCode, { message: terminationLog, log: logPath })
    if (slot.current !== current) return
    slot.prober?.stop()
    slot.prober = undefined
    slot.condemned = undefined
    slot.settled = false
    const finishedAt = state?.finishedAt ?? timestamp(deps.clock.now())
    slot.current = {
      ...current,
      ...(state && processOf(state, deps.host.bootID)),
      phase: 'exited',
      finishedAt,
      endedAt: deps.clock.monotonic(),
      message,
    }
    poke()
  }

  async #readEnd(process: Process): Promise<void> {
    const { slot } = this
    const message = await terminationMessage(slot.container, process.exitCode, { message: process.terminationLog, log: process.logPath })
    if (message && slot.current?.id === process.id) slot.current = { ...slot.current, message }
  }

  async #remove({ id, terminationLog, logPath }: Process, { log = false } = {}): Promise<void> {
    await this.#around.deps.runtime.remove(id)
    this.#holds.get(id)?.()
    this.#holds.delete(id)
    if (terminationLog) await rm(terminationLog, { force: true })
    if (log && logPath) await rm(logPath, { force: true })
  }

  get #ip(): string {
    return this.#around.ground.ips[0] ?? this.#around.pod().status?.podIP ?? ''
  }
}
