// Keeps the status of every ResourceQuota: what it allows, and how much of that is taken.

import type { Client } from '#api/client/client.ts'
import type { Clock } from '#api/clock.ts'
import { isStatus } from '#api/errors.ts'
import { ResourceQuota } from '#api/kinds/index.ts'
import { same } from '#api/kinds/rules/faults.ts'
import type { Log } from '#api/log.ts'
import { WorkQueue } from '#api/queue/queue.ts'

export type QuotaStatusDeps = {
  client: Client
  clock: Clock
  log: Log
  /** Undefined where there is no such quota. */
  used(this: void, namespace: string, name: string): Record<string, string> | undefined
}

export class QuotaStatus {
  readonly #deps: QuotaStatusDeps
  readonly #queue: WorkQueue
  #working: Promise<void> | undefined

  constructor(deps: QuotaStatusDeps) {
    this.#deps = deps
    this.#queue = new WorkQueue({ clock: deps.clock, backoff: { first: 5, longest: 30_000 } })
  }

  start(): void {
    this.#working ??= this.#work()
  }

  /** Many changes in a row become few writes: a quota waits its turn once. */
  changed(namespace: string, names: readonly string[]): void {
    for (const name of names) this.#queue.add(`${namespace}/${name}`)
  }

  async close(): Promise<void> {
    this.#queue.close()
    await this.#working
  }

  async #work(): Promise<void> {
    for (let key = await this.#queue.take(); key !== undefined; key = await this.#queue.take()) {
      try {
        await this.#write(key)
        this.#queue.forget(key)
      } catch (error) {
        const ms = this.#queue.retry(key)
        // Somebody else wrote, or it is gone: look again.
        if (!isStatus(error, 'Conflict', 'NotFound'))
          this.#deps.log.warn({ quota: key, err: error, ms }, 'cannot write the status of a quota')
      }
      this.#queue.done(key)
    }
  }

  async #write(key: string): Promise<void> {
    const [namespace = '', name = ''] = key.split('/')
    const quota = await this.#deps.client.find(ResourceQuota, { namespace, name })
    const used = quota && this.#deps.used(namespace, name)
    if (!quota || !used) return
    const status = { hard: quota.spec.hard ?? {}, used }
    if (!same(quota.status, status)) await this.#deps.client.update(ResourceQuota, { ...quota, status }, { subresource: 'status' })
  }
}
