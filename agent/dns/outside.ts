// Names that are not the cluster's: from what people have set, from the servers of a stub domain, or
// from upstream.

import type { Clock } from '#api/clock.ts'
import type { Log } from '#api/log.ts'
import { Forwarder } from './forward.ts'
import { type Answer, type Query, TYPE } from './message.ts'
import { noOverrides, type Overrides } from './overrides.ts'
import { addressBytes, name, Records, reversed } from './records.ts'
import type { Servers } from './resolv-conf.ts'

export type OutsideOptions = {
  servers: Servers
  clock: Clock
  random: () => number
  log: Log
  timeoutMillis?: number | undefined
}

/** Seconds that clients may remember what people have set. */
const ttl = 5

export class Outside {
  readonly #options: OutsideOptions
  #overrides: Overrides = noOverrides
  #upstream: Forwarder
  /** By the servers that it asks, so that what it remembers outlives a change elsewhere. */
  #stubs = new Map<string, Forwarder>()
  /** Address as bytes in hex → names. */
  #reverse = new Map<string, string[]>()

  constructor(options: OutsideOptions) {
    this.#options = options
    this.#upstream = new Forwarder(options)
  }

  override(overrides: Overrides): void {
    const before = this.#overrides
    this.#overrides = overrides
    if (before.upstream?.join() !== overrides.upstream?.join()) {
      this.#upstream.close()
      this.#upstream = this.#forwarder(overrides.upstream)
    }
    const wanted = new Set(overrides.stubs.map(({ servers }) => servers.join()))
    for (const [servers, forwarder] of this.#stubs) {
      if (wanted.has(servers)) continue
      forwarder.close()
      this.#stubs.delete(servers)
    }
    for (const { servers } of overrides.stubs)
      if (!this.#stubs.has(servers.join())) this.#stubs.set(servers.join(), this.#forwarder(servers))
    this.#reverse = new Map()
    for (const [name, addresses] of overrides.hosts) {
      for (const address of addresses) {
        const key = addressBytes(address).toString('hex')
        this.#reverse.set(key, [...(this.#reverse.get(key) ?? []), name])
      }
    }
  }

  /** What people have set for this very name, whoever else knows it. */
  set({ labels, type }: Query): Answer | undefined {
    const { hosts } = this.#overrides
    if (hosts.size === 0) return undefined
    const addresses = hosts.get(labels.join('.'))
    if (addresses) {
      const length = type === TYPE.AAAA ? 16 : 4
      const wanted = type === TYPE.A || type === TYPE.AAAA ? addresses.filter((address) => addressBytes(address).length === length) : []
      return new Records().addresses(wanted, ttl).answer()
    }
    const address = type === TYPE.PTR ? reversed(labels) : undefined
    const names = address === undefined ? undefined : this.#reverse.get(addressBytes(address).toString('hex'))
    if (!names) return undefined
    const records = new Records()
    for (const each of names) records.add(TYPE.PTR, ttl, name(each))
    return records.answer()
  }

  resolve(query: Query): Answer | Promise<Answer> {
    const stub = this.#overrides.stubs.find(({ suffix }) => isWithin(query.labels, suffix))
    const forwarder = stub && this.#stubs.get(stub.servers.join())
    return this.set(query) ?? (forwarder ?? this.#upstream).resolve(query)
  }

  close(): void {
    this.#upstream.close()
    for (const forwarder of this.#stubs.values()) forwarder.close()
  }

  #forwarder(servers: readonly string[] | undefined): Forwarder {
    return new Forwarder(servers ? { ...this.#options, servers: { list: async () => servers } } : this.#options)
  }
}

const isWithin = (labels: readonly string[], suffix: readonly string[]): boolean => {
  const offset = labels.length - suffix.length
  return offset >= 0 && suffix.every((label, i) => labels[offset + i] === label)
}
