// Pods that have their node and wait for permission to be bound to it.

import type { Clock, Timer } from '#api/clock.ts'
import type { PodInfo } from '../cluster/pod-info.ts'
import type { WaitingPods } from './plugin.ts'

type Entry = { pod: PodInfo; nodeName: string; awaited: Map<string, Timer>; end: (verdict: Verdict) => void }

/** Why it may not go, and who says so; undefined: it may. */
export type Verdict = { plugin: string; reason: string } | undefined

export class PermitWaits implements WaitingPods {
  readonly #clock: Clock
  readonly #entries = new Map<string, Entry>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `waits`: milliseconds by plugin, at the end of which it is refused. */
  add(pod: PodInfo, nodeName: string, waits: ReadonlyMap<string, number>): Promise<Verdict> {
    const { promise, resolve } = Promise.withResolvers<Verdict>()
    const entry: Entry = { pod, nodeName, awaited: new Map(), end: resolve }
    for (const [plugin, ms] of waits) {
      const late = () => this.reject(pod.uid, plugin, `rejected due to timeout after waiting ${ms / 1000}s at plugin ${plugin}`)
      entry.awaited.set(plugin, this.#clock.after(ms, late))
    }
    this.#entries.set(pod.uid, entry)
    return promise
  }

  *list(): Generator<{ pod: PodInfo; nodeName: string }> {
    yield* this.#entries.values()
  }

  allow(uid: string, plugin: string): void {
    const entry = this.#entries.get(uid)
    entry?.awaited.get(plugin)?.cancel()
    if (entry?.awaited.delete(plugin) && entry.awaited.size === 0) this.#end(uid, entry, undefined)
  }

  reject(uid: string, plugin: string, reason: string): void {
    const entry = this.#entries.get(uid)
    if (entry) this.#end(uid, entry, { plugin, reason })
  }

  close(): void {
    for (const uid of this.#entries.keys()) this.reject(uid, '', 'the scheduler ends')
  }

  #end(uid: string, entry: Entry, verdict: Verdict): void {
    this.#entries.delete(uid)
    for (const timer of entry.awaited.values()) timer.cancel()
    entry.end(verdict)
  }
}
