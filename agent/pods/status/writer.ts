// Brings a pod's status to the server: only when it differs, one write at a time, always the newest.
// What nobody waits for is held back a little, so that a pod on its way up costs one write, not five.

import { isDeepStrictEqual } from 'node:util'
import type { Client } from '#api/client/client.ts'
import { type Clock, sleep, type Timer } from '#api/clock.ts'
import { isStatus } from '#api/errors.ts'
import { Pod } from '#api/kinds/index.ts'
import type { Log } from '#api/log.ts'
import { isReady, isTerminal } from '#api/pods.ts'
import type { PodStatus } from '#api/types/core-v1.gen.ts'
import { passing } from './conditions.ts'

const CALM_MS = 100
const RETRY_MIN_MS = 200
const RETRY_MAX_MS = 5_000

export type StatusWriterDeps = { client: Client; clock: Clock; random: () => number; log: Log }

/** Addresses that are others would be merged with those before: such a list is told whole. */
const whole = (status: PodStatus, field: 'podIPs' | 'hostIPs') =>
  status[field] ? { [field]: [...status[field], { $patch: 'replace' }] } : {}

export class StatusWriter {
  readonly #deps: StatusWriterDeps
  readonly #ref: { namespace?: string; name: string }
  readonly #uid: string
  readonly #closing = new AbortController()
  /** As the server has it, as far as we know. */
  #written: PodStatus
  #wanted: PodStatus | undefined
  #wrote = false
  #calm: Timer | undefined
  #writing: Promise<void> | undefined

  constructor(pod: Pod, deps: StatusWriterDeps) {
    this.#deps = deps
    this.#ref = { namespace: pod.metadata.namespace, name: pod.metadata.name }
    this.#uid = pod.metadata.uid
    this.#written = pod.status ?? {}
  }

  set(status: PodStatus): void {
    if (this.#closing.signal.aborted) return
    // Through JSON, as the server will see it: fields that are undefined are not there.
    this.#wanted = JSON.parse(JSON.stringify(status)) as PodStatus
    if (same(this.#written, this.#wanted)) {
      if (!this.#writing) this.#wanted = undefined
    } else if (urgent(this.#written, this.#wanted)) {
      this.#write()
    } else {
      this.#calm ??= this.#deps.clock.after(CALM_MS, () => this.#write())
    }
  }

  /** The server has this, whatever was believed. Before anything was written. */
  heard(status: PodStatus): void {
    if (!this.#wrote) this.#written = status
  }

  /** Writes at once what is held back; resolves when the server has it all or the pod is gone from it. */
  async flush(): Promise<void> {
    while (this.#wanted && !this.#closing.signal.aborted) {
      this.#write()
      await this.#writing
    }
  }

  /** Gives up what is not written. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#calm?.cancel()
    await this.#writing
  }

  /** A merge keeps conditions that it does not name: those that are over are named to go. */
  #over({ conditions = [] }: PodStatus): object[] {
    const written = this.#written.conditions ?? []
    return passing
      .filter((type) => written.some((c) => c.type === type) && !conditions.some((c) => c.type === type))
      .map((type) => ({ type, $patch: 'delete' }))
  }

  #write(): void {
    this.#calm?.cancel()
    this.#calm = undefined
    this.#writing ??= this.#drain().finally(() => (this.#writing = undefined))
  }

  async #drain(): Promise<void> {
    const { client, clock, random, log } = this.#deps
    const { signal } = this.#closing
    for (let pause = RETRY_MIN_MS; this.#wanted && !signal.aborted; ) {
      const status = this.#wanted
      if (same(this.#written, status)) {
        this.#wanted = undefined
        return
      }
      try {
        const conditions = [...(status.conditions ?? []), ...this.#over(status)]
        const lists = { conditions, ...whole(status, 'podIPs'), ...whole(status, 'hostIPs') }
        const patch = { metadata: { uid: this.#uid }, status: { ...status, ...lists } }
        await client.patch(Pod, this.#ref, 'strategic', patch, { subresource: 'status', signal })
        this.#written = status
        this.#wrote = true
        if (this.#wanted === status) this.#wanted = undefined
        pause = RETRY_MIN_MS
      } catch (error) {
        if (signal.aborted) return
        if (isStatus(error, 'NotFound', 'Conflict')) {
          // The name is free again, or another pod's by now.
          this.#wanted = undefined
          this.#closing.abort()
          return
        }
        const first = pause === RETRY_MIN_MS
        log[first ? 'warn' : 'debug'](
          { err: error, pod: this.#ref.name, namespace: this.#ref.namespace },
          'could not write the status of a pod',
        )
        await sleep(clock, pause * (0.5 + random()), signal)
        pause = Math.min(pause * 2, RETRY_MAX_MS)
      }
    }
  }
}

const same = (written: PodStatus, wanted: PodStatus): boolean =>
  (Object.keys(wanted) as (keyof PodStatus)[]).every((key) => isDeepStrictEqual(written[key], wanted[key]))

/** Services wait for readiness and people for the end; the rest can wait a moment. */
function urgent(written: PodStatus, wanted: PodStatus): boolean {
  const [before, after] = [{ status: written }, { status: wanted }]
  return isReady(before) !== isReady(after) || isTerminal(before) !== isTerminal(after)
}
