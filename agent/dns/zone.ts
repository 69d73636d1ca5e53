// The cluster's names, in memory: kept up to date object by object, each change touching only the service
// it belongs to. Knows nothing of packets or sockets.

import { BlockList, isIP, isIPv6 } from 'node:net'
import type { Service } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import { type Answer, RCODE, TYPE } from './message.ts'
import { addressBytes, name, Records, reversed, soa, text } from './records.ts'
import { addresses, type Found, ServiceEntry, type Stamp, ttl } from './service-entry.ts'

export type ZoneOptions = {
  domain: string
  /** Our own, those of `ns.dns.<domain>`. */
  addresses: readonly string[]
  /** Address ranges of services and pods, whose reverse names are ours alone. */
  cidrs: readonly string[]
}

export type ObjectName = { namespace: string; name: string }

/** An answer, right while `stamp` is valid; or a name outside to go on with, after the alias records so far. */
export type Resolved = { answer: Answer; stamp: Stamp } | { outside: string; records: Records }

const mostAliases = 8
const serviceNameLabel = 'kubernetes.io/service-name'

export class Zone {
  #domain: string[]
  #name: string
  #addresses: readonly string[]
  #ours = new BlockList()
  #services = new Map<string, ServiceEntry>()
  /** Services of each namespace. */
  #namespaces = new Map<string, number>()
  #sliceOwner = new Map<string, string>()
  /** Canonical address → names. */
  #reverse = new Map<string, Set<string>>()
  #reverseOf = new Map<string, { address: string; name: string }[]>()
  /** Holds until a service comes or goes. */
  #existence: Stamp = { valid: true }
  #serial = 1

  constructor({ domain, addresses, cidrs }: ZoneOptions) {
    this.#domain = domain.toLowerCase().split('.')
    this.#name = this.#domain.join('.')
    this.#addresses = addresses
    for (const cidr of cidrs) {
      const [net = '', bits] = cidr.split('/')
      this.#ours.addSubnet(net, Number(bits), isIPv6(net) ? 'ipv6' : 'ipv4')
    }
  }

  serviceChanged(object: ObjectName, service: Service | undefined): void {
    const entry = this.#entry(object)
    const before = entry.service
    entry.service = service
    if ((before === undefined) !== (service === undefined)) {
      this.#exists()
      const count = (this.#namespaces.get(object.namespace) ?? 0) + (service ? 1 : -1)
      if (count > 0) this.#namespaces.set(object.namespace, count)
      else this.#namespaces.delete(object.namespace)
    }
    this.#changed(object, entry)
  }

  sliceChanged(object: ObjectName, slice: EndpointSlice | undefined): void {
    const key = `${object.namespace}/${object.name}`
    const before = this.#sliceOwner.get(key)
    const after = slice?.metadata.labels?.[serviceNameLabel]
    if (before !== undefined && before !== after) {
      const owner = { namespace: object.namespace, name: before }
      const entry = this.#entry(owner)
      entry.slices.delete(object.name)
      this.#sliceOwner.delete(key)
      this.#changed(owner, entry)
    }
    if (!slice || after === undefined) return
    const owner = { namespace: object.namespace, name: after }
    const entry = this.#entry(owner)
    entry.slices.set(object.name, slice)
    this.#sliceOwner.set(key, after)
    this.#changed(owner, entry)
  }

  /** Whether a name is the cluster's, never to be asked of anyone else. */
  owns(labels: readonly string[]): boolean {
    if (this.#inDomain(labels)) return true
    const address = reversed(labels)
    return address !== undefined && (this.#reverse.has(canonical(address)) || this.#ours.check(address, isIPv6(address) ? 'ipv6' : 'ipv4'))
  }

  /** For a name that it `owns`. */
  resolve(labels: readonly string[], type: number): Resolved {
    const records = new Records()
    let current = labels
    for (let aliases = 0; ; aliases++) {
      const { found, stamp } = this.#find(current, type)
      if (typeof found === 'string') {
        if (aliases === 0) return { answer: this.#nothing(found === 'no name' ? RCODE.nameError : RCODE.ok), stamp }
        return { answer: records.answer(), stamp: expired }
      }
      if ('records' in found) {
        if (aliases === 0) return { answer: found.records.answer(), stamp }
        return { answer: records.append(found.records, current.join('.')).answer(), stamp: expired }
      }
      const owner = aliases === 0 ? undefined : current.join('.')
      records.add(TYPE.CNAME, ttl, name(found.alias), { owner })
      current = found.alias
        .toLowerCase()
        .split('.')
        .filter((label) => label !== '')
      if (type === TYPE.CNAME || aliases >= mostAliases) return { answer: records.answer(), stamp: aliases === 0 ? stamp : expired }
      if (!this.#inDomain(current)) return { outside: current.join('.'), records }
    }
  }

  #find(labels: readonly string[], type: number): { found: Found; stamp: Stamp } {
    if (!this.#inDomain(labels)) return { found: this.#pointer(labels, type), stamp: expired }
    const [kind, namespace, service, ...below] = labels.slice(0, labels.length - this.#domain.length).toReversed()
    const found = (found: Found) => ({ found, stamp: this.#existence })
    if (kind === undefined) return found(this.#apex(type))
    if (kind === 'dns-version' && namespace === undefined) {
      return found(type === TYPE.TXT || type === TYPE.ANY ? { records: new Records().add(TYPE.TXT, ttl, text('1.1.0')) } : 'no data')
    }
    if (kind === 'dns')
      return found(namespace === undefined ? 'no data' : namespace === 'ns' && !service ? addresses(this.#addresses, type) : 'no name')
    if (kind === 'pod') return found(pod(namespace, service, below, type))
    if (kind !== 'svc') return found('no name')
    if (namespace === undefined) return found('no data')
    if (service === undefined) return found(this.#namespaces.has(namespace) ? 'no data' : 'no name')
    const entry = this.#services.get(`${namespace}/${service}`)
    if (!entry?.service) return found('no name')
    return { found: entry.find(below.toReversed(), type), stamp: entry.stamp }
  }

  #apex(type: number): Found {
    const records = new Records()
    if (type === TYPE.SOA || type === TYPE.ANY) records.add(TYPE.SOA, ttl, this.#soa())
    else if (type === TYPE.NS) records.add(TYPE.NS, ttl, name(`ns.dns.${this.#name}`))
    else return 'no data'
    return { records }
  }

  #pointer(labels: readonly string[], type: number): Found {
    const names = this.#reverse.get(canonical(reversed(labels)!))
    if (!names) return 'no name'
    if (type !== TYPE.PTR && type !== TYPE.ANY) return 'no data'
    const records = new Records()
    for (const target of names) records.add(TYPE.PTR, ttl, name(target))
    return { records }
  }

  #nothing(rcode: number): Answer {
    return new Records().add(TYPE.SOA, ttl, this.#soa(), { owner: this.#name, section: 'authority' }).answer(rcode)
  }

  #soa(): Buffer {
    return soa(`ns.dns.${this.#name}`, `hostmaster.${this.#name}`, this.#serial, ttl)
  }

  #inDomain(labels: readonly string[]): boolean {
    const offset = labels.length - this.#domain.length
    return offset >= 0 && this.#domain.every((label, index) => labels[offset + index] === label)
  }

  #exists(): void {
    this.#serial = (this.#serial + 1) >>> 0
    this.#existence.valid = false
    this.#existence = { valid: true }
  }

  #entry({ namespace, name }: ObjectName): ServiceEntry {
    const key = `${namespace}/${name}`
    let entry = this.#services.get(key)
    if (!entry) {
      entry = new ServiceEntry(`${name}.${namespace}.svc.${this.#name}`)
      this.#services.set(key, entry)
    }
    return entry
  }

  #changed({ namespace, name }: ObjectName, entry: ServiceEntry): void {
    const key = `${namespace}/${name}`
    entry.changed()
    for (const { address, name } of this.#reverseOf.get(key) ?? []) {
      const names = this.#reverse.get(address)
      names?.delete(name)
      if (names?.size === 0) this.#reverse.delete(address)
    }
    const reverse = entry.reverse().map(({ address, name }) => ({ address: canonical(address), name }))
    for (const { address, name } of reverse) this.#reverse.set(address, (this.#reverse.get(address) ?? new Set()).add(name))
    if (reverse.length > 0) this.#reverseOf.set(key, reverse)
    else this.#reverseOf.delete(key)
    if (!entry.service && entry.slices.size === 0) this.#services.delete(key)
  }
}

/** Not to be kept. */
const expired: Stamp = { valid: false }

const canonical = (address: string) => addressBytes(address).toString('hex')

/** `1-2-3-4.<namespace>.pod`: the address that the name itself spells. */
function pod(namespace: string | undefined, spelled: string | undefined, below: readonly string[], type: number): Found {
  if (namespace === undefined || spelled === undefined) return 'no data'
  const dotted = spelled.replaceAll('-', '.')
  const address = isIP(dotted) === 4 ? dotted : spelled.replaceAll('-', ':')
  return below.length > 0 || isIP(address) === 0 ? 'no name' : addresses([address], type)
}
