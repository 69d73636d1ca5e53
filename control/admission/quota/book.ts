// What the quotas of one namespace hold: every object with what it takes, and the sums. What is about to
// be written is entered before it is, so that requests at the same moment cannot take the same twice.

import { same } from '#api/kinds/rules/faults.ts'
import { formatQuantity, parseQuantity, type Quantity } from '#api/schema/quantity.ts'
import type { ResourceQuota } from '#api/types/core-v1.gen.ts'
import { type Amounts, add, nothing } from '../amounts.ts'
import { isInScope, type Measured } from './measure.ts'

type Account = { quota: ResourceQuota; used: Map<string, Quantity> }

/** One quota does not allow it; each as `cpu=1,pods=2`. */
export type Excess = { quota: string; requested: string; used: string; limited: string }

export class Book {
  readonly #accounts = new Map<string, Account>()
  readonly #objects = new Map<string, Measured>()
  readonly #promised = new Set<string>()

  get quotas(): ResourceQuota[] {
    return [...this.#accounts.values()].map(({ quota }) => quota)
  }

  /** Undefined where there is no such quota. For every resource that it limits. */
  used(name: string): Record<string, string> | undefined {
    const account = this.#accounts.get(name)
    if (!account) return undefined
    const limited = Object.keys(account.quota.spec.hard ?? {})
    return Object.fromEntries(limited.map((resource) => [resource, formatQuantity(account.used.get(resource) ?? nothing)]))
  }

  /** A quota is as it is now; undefined: it is gone. */
  limit(name: string, quota: ResourceQuota | undefined): void {
    const before = this.#accounts.get(name)
    if (!quota) this.#accounts.delete(name)
    else if (before && same(before.quota.spec, quota.spec)) before.quota = quota
    else {
      const account: Account = { quota, used: new Map() }
      for (const measured of this.#objects.values()) if (isInScope(quota, measured)) add(account.used, measured.amounts)
      this.#accounts.set(name, account)
    }
  }

  /** An object is as it is now; undefined: it is gone. Whether that changes any sum. */
  enter(key: string, measured: Measured | undefined): boolean {
    this.#promised.delete(key)
    return this.#put(key, measured)
  }

  /** Entered ahead of its being written, until that is seen, or it is taken back. Returns what was there before. */
  promise(key: string, measured: Measured): Measured | undefined {
    const before = this.#objects.get(key)
    this.#promised.add(key)
    this.#put(key, measured)
    return before
  }

  takeBack(key: string, measured: Measured, before: Measured | undefined): void {
    // Meanwhile it may have been seen otherwise.
    if (this.#promised.has(key) && this.#objects.get(key) === measured) this.enter(key, before)
  }

  /** What was promised and not seen yet, for a book that takes the place of this one. */
  *promises(): Generator<[key: string, measured: Measured]> {
    for (const key of this.#promised) yield [key, this.#objects.get(key) as Measured]
  }

  /** The first quota that has no room for `next` at `key`. */
  excess(key: string, next: Measured): Excess | undefined {
    const before = this.#objects.get(key)
    for (const account of this.#accounts.values()) {
      const over = excessOf(account, before, next)
      if (over) return over
    }
    return undefined
  }

  #put(key: string, measured: Measured | undefined): boolean {
    const before = this.#objects.get(key)
    if (before && measured && isSame(before, measured)) {
      this.#objects.set(key, measured)
      return false
    }
    if (measured) this.#objects.set(key, measured)
    else this.#objects.delete(key)
    for (const { quota, used } of this.#accounts.values()) {
      if (before && isInScope(quota, before)) add(used, before.amounts, -1)
      if (measured && isInScope(quota, measured)) add(used, measured.amounts)
    }
    return before !== undefined || measured !== undefined
  }
}

const isSame = (a: Measured, b: Measured): boolean =>
  same(a.pod, b.pod) && a.amounts.size === b.amounts.size && [...a.amounts].every(([name, { nano }]) => b.amounts.get(name)?.nano === nano)

function excessOf({ quota, used }: Account, before: Measured | undefined, next: Measured): Excess | undefined {
  if (!isInScope(quota, next)) return undefined
  const held: Amounts = before && isInScope(quota, before) ? before.amounts : new Map()
  const over = Object.entries(quota.spec.hard ?? {}).flatMap(([name, text]) => {
    const more = (next.amounts.get(name)?.nano ?? 0n) - (held.get(name)?.nano ?? 0n)
    const now = used.get(name) ?? nothing
    if (more <= 0n || now.nano + more <= parseQuantity(text).nano) return []
    const family = next.amounts.get(name)?.family ?? 'decimal'
    return [{ name, requested: formatQuantity({ nano: more, family }), used: formatQuantity(now), limited: text }]
  })
  if (over.length === 0) return undefined
  const spell = (field: 'requested' | 'used' | 'limited') =>
    over
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map((each) => `${each.name}=${each[field]}`)
      .join(',')
  return { quota: quota.metadata.name, requested: spell('requested'), used: spell('used'), limited: spell('limited') }
}
