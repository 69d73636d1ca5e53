// How often somebody may be wrong: a few times at once, then once every few seconds. Counted by where they come from.

import { parseAddress } from '#api/cidr.ts'

const most = 10
const everyMs = 6_000
/** Of the sources that are remembered; the oldest are forgotten first. */
const mostSources = 10_000

type Bucket = { left: number; at: number }

export class Attempts {
  readonly #now: () => number
  readonly #buckets = new Map<string, Bucket>()

  /** `now`: monotonic, milliseconds. */
  constructor({ now }: { now: () => number }) {
    this.#now = now
  }

  /** Seconds until the next attempt; 0: now. */
  waitOf(source: string): number {
    const bucket = this.#bucketOf(source)
    return bucket.left >= 1 ? 0 : Math.ceil(((1 - bucket.left) * everyMs) / 1000)
  }

  failed(source: string): void {
    const key = keyOf(source)
    const { left, at } = this.#bucketOf(source)
    this.#buckets.delete(key)
    this.#buckets.set(key, { left: Math.max(0, left - 1), at })
    const [oldest] = this.#buckets.keys()
    if (this.#buckets.size > mostSources && oldest !== undefined) this.#buckets.delete(oldest)
  }

  #bucketOf(source: string): Bucket {
    const now = this.#now()
    const known = this.#buckets.get(keyOf(source)) ?? { left: most, at: now }
    return { left: Math.min(most, known.left + (now - known.at) / everyMs), at: now }
  }
}

/** Whoever has an IPv6 address has a whole /64 of them. */
function keyOf(source: string): string {
  const address = parseAddress(source)
  if (!address || address.family === 'IPv4') return source
  const { value } = address
  return value >> 32n === 0xffffn ? `IPv4 ${value & 0xffffffffn}` : `IPv6 ${value >> 64n}`
}
