// One service as DNS sees it: the names below `<service>.<namespace>.svc.<domain>` and what they say,
// by the Kubernetes DNS specification 1.1.

import { isIP, isIPv6 } from 'node:net'
import type { Service } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import { TYPE } from './message.ts'
import { addressBytes, Records, srv } from './records.ts'

/** Seconds that clients may remember: what CoreDNS says for cluster names. */
export const ttl = 5

/** Whatever was answered from something is right until it changes. */
export type Stamp = { valid: boolean }

type Endpoint = { address: string; host: string; ports: { name: string; protocol: string; port: number }[] }

type Target = { name: string; protocol: string; port: number; host: string; addresses: string[] }

export type Found = { records: Records } | { alias: string } | 'no data' | 'no name'

export class ServiceEntry {
  /** `<service>.<namespace>.svc.<domain>` */
  readonly name: string
  service: Service | undefined
  readonly slices = new Map<string, EndpointSlice>()
  stamp: Stamp = { valid: true }
  #endpoints: Endpoint[] | undefined

  constructor(name: string) {
    this.name = name
  }

  changed(): void {
    this.stamp.valid = false
    this.stamp = { valid: true }
    this.#endpoints = undefined
  }

  get headless(): boolean {
    return this.service?.spec.clusterIP === 'None'
  }

  /** Addresses that lead back to a name. */
  reverse(): { address: string; name: string }[] {
    if (!this.service || this.service.spec.type === 'ExternalName') return []
    if (!this.headless) return this.#clusterIPs().map((address) => ({ address, name: this.name }))
    return this.#ready().map(({ address, host }) => ({ address, name: `${host}.${this.name}` }))
  }

  /** `below`: labels in front of the service's own name. */
  find(below: readonly string[], type: number): Found {
    const { spec } = this.service!
    if (spec.type === 'ExternalName') return below.length === 0 && spec.externalName ? { alias: spec.externalName } : 'no name'
    if (below.length === 0) {
      return addresses(this.headless ? this.#ready().map(({ address }) => address) : this.#clusterIPs(), type)
    }
    const last = below.at(-1)!
    if (last.startsWith('_')) return this.#ports(below, type)
    if (below.length > 1 || !this.headless) return 'no name'
    const own = this.#ready().filter(({ host }) => host === last)
    return own.length === 0
      ? 'no name'
      : addresses(
          own.map(({ address }) => address),
          type,
        )
  }

  /** `_port._protocol`, and `_protocol` as a name on the way there. */
  #ports(below: readonly string[], type: number): Found {
    const protocol = below.at(-1)!.slice(1)
    const port = below.at(-2)
    if (below.length > 2 || (port !== undefined && !port.startsWith('_'))) return 'no name'
    const targets = this.#targets().filter(
      (target) => target.protocol === protocol && (port === undefined || target.name === port.slice(1)),
    )
    if (targets.length === 0) return 'no name'
    if (port === undefined || (type !== TYPE.SRV && type !== TYPE.ANY)) return 'no data'
    const records = new Records()
    const weight = Math.max(Math.floor(100 / targets.length), 1)
    for (const target of targets) records.add(TYPE.SRV, ttl, srv(target.port, target.host, weight))
    // Whoever asked will want these next.
    const told = new Set<string>()
    for (const { host, addresses } of targets) {
      for (const address of addresses) {
        if (told.has(`${host} ${address}`)) continue
        told.add(`${host} ${address}`)
        records.add(isIPv6(address) ? TYPE.AAAA : TYPE.A, ttl, addressBytes(address), { owner: host, section: 'additional' })
      }
    }
    return { records }
  }

  #targets(): Target[] {
    if (!this.headless) {
      const addresses = this.#clusterIPs()
      return (this.service!.spec.ports ?? []).flatMap(({ name, protocol, port }) =>
        name ? [{ name: name.toLowerCase(), protocol: (protocol ?? 'TCP').toLowerCase(), port, host: this.name, addresses }] : [],
      )
    }
    const targets = new Map<string, Target>()
    for (const { host, address, ports } of this.#ready()) {
      for (const { name, protocol, port } of ports) {
        const key = `${name} ${protocol} ${port} ${host}`
        const known = targets.get(key)
        if (known) known.addresses.push(address)
        else if (name) targets.set(key, { name, protocol, port, host: `${host}.${this.name}`, addresses: [address] })
      }
    }
    return [...targets.values()]
  }

  #clusterIPs(): string[] {
    const { clusterIPs, clusterIP } = this.service!.spec
    return (clusterIPs?.length ? clusterIPs : clusterIP ? [clusterIP] : []).filter((address) => isIP(address) !== 0)
  }

  /** Ready endpoints, each address once; `ready` absent means ready (discovery/v1). */
  #ready(): Endpoint[] {
    if (this.#endpoints) return this.#endpoints
    const found = new Map<string, Endpoint>()
    for (const slice of this.slices.values()) {
      if (slice.addressType === 'FQDN') continue
      const ports = (slice.ports ?? []).flatMap(({ name, protocol, port }) =>
        port === undefined ? [] : [{ name: (name ?? '').toLowerCase(), protocol: (protocol ?? 'TCP').toLowerCase(), port }],
      )
      for (const { addresses, conditions, hostname } of slice.endpoints ?? []) {
        const address = addresses[0]
        if (address === undefined || isIP(address) === 0 || conditions?.ready === false) continue
        const known = found.get(address)
        const host = hostname ? hostname.toLowerCase() : address.replaceAll(/[.:]/g, '-')
        found.set(address, { address, host, ports: known ? [...known.ports, ...ports] : ports })
      }
    }
    this.#endpoints = [...found.values()]
    return this.#endpoints
  }
}

/** Of the family asked for. */
export function addresses(all: readonly string[], type: number): Found {
  const wanted = all.filter((address) =>
    type === TYPE.AAAA ? isIPv6(address) : (type === TYPE.A || type === TYPE.ANY) && !isIPv6(address),
  )
  return wanted.length === 0 ? 'no data' : { records: new Records().addresses(wanted, ttl) }
}
