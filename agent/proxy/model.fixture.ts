// The model test of the service proxy: random changes of services, endpoints, pods and the node's zone; after
// each the tables are as made from nothing, and new connections fare as the objects say.

import assert from 'node:assert/strict'
import { isIPv6 } from 'node:net'
import { fakeNft, type Nft, type Table } from 'nft-js'
import type { NftSet } from 'nft-js/nftables/table.ts'
import { silent } from '#api/log.ts'
import type { Pod, Service } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import { type Below, randomly } from '../ruleset/random.ts'
import { openRuleset, type RulesetNft } from '../ruleset/ruleset.ts'
import type { Host } from '../ruleset/simulate.ts'
import type { ProxyFamily } from './family.ts'
import { TableMemory, withSilent } from './memory.fixture.ts'
import { type Connection, type Fate, fateOf, readyHere, type World } from './oracle.ts'
import { passage } from './passage.ts'
import { type Applied, openProxy, type Proxy } from './proxy.ts'
import {
  networks,
  nodeAddresses,
  nodePortAddresses,
  nodePortPrefixes,
  randomConnection,
  randomPod,
  randomService,
  randomSlice,
  someService,
} from './random.fixture.ts'

const families = ['ip', 'ip6'] as const
type Tables = Record<ProxyFamily, Table>

export type ModelOptions = { steps: number; seed: number /** Connections tried after each step. */; connections: number }

export const runModel = async (kernel: Nft, { steps, seed, connections }: ModelOptions): Promise<void> => {
  const below = randomly(seed)
  const { nft, silent: unnoticed } = withSilent(kernel)
  const cluster = new Cluster(below)
  let now = 0
  const memories = { ip: new TableMemory(() => now), ip6: new TableMemory(() => now) }
  const affinity = new Affinity(() => now)
  let proxy = open(nft)
  for (let step = 0; step < steps; step++) {
    const what = `seed ${seed}, step ${step}`
    if (cluster.change(proxy) === 'restart') {
      proxy = open(nft)
      cluster.tell(proxy)
    }
    const applied = await proxy.apply()
    const fresh = fakeNft()
    const other = open(fresh)
    cluster.tell(other)
    await other.apply()
    const tables = await tablesOf(nft)
    assert.deepEqual(content(tables), content(await tablesOf(fresh)), what)
    const world = cluster.world()
    checkHealth(world, applied, what)
    affinity.look(world)
    for (const family of families) memories[family].read(tables[family])
    for (let i = 0; i < connections; i++) {
      const connection = randomConnection(below)
      const family = isIPv6(connection.to) ? 'ip6' : 'ip'
      const fate = affinity.of(world, connection)
      const at = `${what}: ${JSON.stringify(connection)}`
      const host = { isLocal: (address: string) => nodeAddresses.includes(address), memory: memories[family] }
      check(tables[family], connection, fate, host, at)
      affinity.note(world, connection, tables[family], { ...host, random: below })
    }
    now += 1000 * below(40)
    for (const family of families) await memories[family].write(unnoticed, tables[family])
  }
}

const open = (nft: RulesetNft): Proxy =>
  openProxy({
    ruleset: openRuleset(nft),
    conntrack: { remove: async () => 0 },
    log: silent,
    nodeName: 'here',
    networks,
    nodePortAddresses: nodePortPrefixes,
  })

const tablesOf = async (nft: RulesetNft): Promise<Tables> => {
  const [ip, ip6] = await Promise.all(families.map((family) => nft.list(family, 'coracle')))
  assert(ip && ip6)
  return { ip, ip6 }
}

/** The objects, and what becomes of them. */
class Cluster {
  readonly #below: Below
  readonly #services = new Map<string, Service>()
  readonly #slices = new Map<string, EndpointSlice>()
  readonly #pods = new Map<string, Pod>()
  #zone: string | undefined

  constructor(below: Below) {
    this.#below = below
  }

  change(proxy: Proxy): 'restart' | undefined {
    const below = this.#below
    const i = someService(below)
    switch (below(12)) {
      case 0:
        this.#services.delete(`s${i}`)
        proxy.serviceChanged(named(`s${i}`), undefined)
        return undefined
      case 1:
      case 2:
      case 3:
        this.#services.set(`s${i}`, randomService(below, i))
        proxy.serviceChanged(named(`s${i}`), this.#services.get(`s${i}`))
        return undefined
      case 4: {
        const name = `s${i}-${below(3)}`
        this.#slices.delete(name)
        proxy.sliceChanged(named(name), undefined)
        return undefined
      }
      case 5: {
        const name = `p${below(2)}`
        if (below(2)) this.#pods.set(name, randomPod(below, Number(name.slice(1))))
        else this.#pods.delete(name)
        proxy.podChanged(named(name), this.#pods.get(name))
        return undefined
      }
      case 6:
        this.#zone = [undefined, 'a', 'b'][below(3)]
        proxy.zoneChanged(this.#zone)
        return undefined
      case 7:
        return 'restart'
      default: {
        const name = `s${i}-${below(3)}`
        this.#slices.set(name, randomSlice(below, name, i))
        proxy.sliceChanged(named(name), this.#slices.get(name))
        return undefined
      }
    }
  }

  /** In another order than they came. */
  tell(proxy: Proxy): void {
    proxy.zoneChanged(this.#zone)
    for (const [name, pod] of this.#pods) proxy.podChanged(named(name), pod)
    for (const [name, slice] of [...this.#slices].toReversed()) proxy.sliceChanged(named(name), slice)
    for (const [name, service] of [...this.#services].toReversed()) proxy.serviceChanged(named(name), service)
  }

  world(): World {
    return {
      services: [...this.#services.values()],
      slices: [...this.#slices.values()],
      pods: [...this.#pods.values()],
      nodeName: 'here',
      zone: this.#zone,
      nodeAddresses,
      nodePortAddresses,
      networks,
    }
  }
}

const named = (name: string) => ({ namespace: 'default', name })

/**
 * Which client has which backend, as Kubernetes would remember it; but that a backend which is no longer for
 * clients from outside, or no longer for those from inside, is forgotten by both.
 */
class Affinity {
  readonly #clients = new Map<string, { connection: Connection; backend: string; expires: number; reachedBy: readonly string[] }>()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  look(world: World): void {
    for (const [key, { connection, backend, expires, reachedBy }] of this.#clients) {
      const isStill = reachedBy.every((from) => backendsOf(fateOf(unguarded(world), { ...connection, from })).includes(backend))
      if (!isStill || expires <= this.#now()) this.#clients.delete(key)
    }
  }

  of(world: World, connection: Connection): Fate {
    const fate = fateOf(world, connection)
    const known = this.#clients.get(keyOf(connection))
    if (!known || known.expires <= this.#now() || fate.fate !== 'pass') return fate
    return { ...fate, backends: fate.backends.filter(({ address, port }) => `${address} ${port}` === known.backend) }
  }

  /** The client connects, and gets one of those that it may get. */
  note(world: World, connection: Connection, table: Table, host: Host): void {
    const fate = fateOf(world, connection)
    if (fate.fate !== 'pass' || fate.sticky === undefined) return
    const passed = passage(table, connection, host)
    assert(passed.fate === 'pass')
    const backend = `${passed.address} ${passed.port}`
    const reachedBy = [connection.from, ...(isIPv6(connection.to) ? strangers.ip6 : strangers.ip)].filter((from) =>
      backendsOf(fateOf(unguarded(world), { ...connection, from })).includes(backend),
    )
    this.#clients.set(keyOf(connection), { connection, backend, expires: this.#now() + fate.sticky * 1000, reachedBy })
  }
}

/** Who is let in does not matter to what is remembered. */
const unguarded = (world: World): World => ({
  ...world,
  services: world.services.map((service) => ({ ...service, spec: { ...service.spec, loadBalancerSourceRanges: [] } })),
})

/** One from outside, one from inside. */
const strangers = { ip: ['198.51.100.7', '10.42.2.9'], ip6: ['2001:db8:9::7', 'fd00:42:0:2::9'] }

const backendsOf = (fate: Fate): string[] =>
  fate.fate === 'pass' && fate.sticky ? fate.backends.map(({ address, port }) => `${address} ${port}`) : []

const keyOf = ({ from, to, protocol, port }: Connection): string => `${from} ${to} ${protocol} ${port}`

/** Whatever number the kernel picks, each backend is met as often as the others, and sees whom it is to see. */
const check = (table: Table, connection: Connection, fate: Fate, host: Omit<Host, 'random'>, what: string): void => {
  const met: string[] = []
  const memory = { find: (set: string, key: string) => host.memory.find(set, key), note: () => {} }
  for (let number = 0, limit = 1; number < limit; number++) {
    const random = (modulus: number): number => {
      limit = modulus
      return number
    }
    const passed = passage(table, connection, { ...host, memory, random })
    if (passed.fate !== 'pass') {
      assert.equal(passed.fate, fate.fate, what)
      continue
    }
    const seenAs = nodeAddresses.includes(connection.from) || (passed.isForwarded && passed.isMasqueraded) ? 'node' : 'itself'
    met.push(`${passed.address} ${passed.port} as ${seenAs}`)
  }
  const wanted = fate.fate === 'pass' ? fate.backends.map(({ address, port, seenAs }) => `${address} ${port} as ${seenAs}`) : []
  assert.deepEqual(met.sort(), wanted.sort(), what)
}

const checkHealth = (world: World, { healthChecks }: Applied, what: string): void => {
  const wanted = world.services.flatMap((service) => {
    const { type, externalTrafficPolicy, healthCheckNodePort: port, clusterIPs } = service.spec
    if (type !== 'LoadBalancer' || externalTrafficPolicy !== 'Local' || clusterIPs?.[0] === 'None') return []
    return [`default/${service.metadata.name} ${port} ${readyHere(world, service)}`]
  })
  assert.deepEqual([...healthChecks].map(([name, check]) => `${name} ${check.port} ${check.readyHere}`).sort(), wanted.sort(), what)
}

/** Everything in the tables but what rules note; of the slots only that they are dense, and in which part of them a backend is. */
const content = (tables: Tables): string[] => families.flatMap((family) => contentOf(tables[family]).map((line) => `${family} ${line}`))

const contentOf = (table: Table): string[] => {
  const rows = (name: string) => {
    const { elements } = table.sets.find(({ spec }) => spec.name === name) as NftSet
    return Array.from({ length: elements.count }, (_, row) => elements.values(row))
  }
  const verdicts = new Map(['services', 'node-ports'].flatMap(rows).map(({ key, data }) => [key.join(' '), data[0] ?? '']))
  const slots = new Map<string, number[]>()
  const found = table.sets.flatMap(({ spec: { name, flags } }) => {
    if (flags?.includes('dynamic')) return [name]
    return rows(name).map(({ key, data }) => {
      if (!name.endsWith('backends')) return `${name} ${key.join(' ')} : ${data.join(' ')}`
      const frontend = key.slice(0, -1).join(' ')
      const slot = Number(key.at(-1))
      slots.set(frontend, [...(slots.get(frontend) ?? []), slot])
      const [, outside = 0, , inside = 0] = /(\d+)-of-(\d+)(?:-from-(\d+))?/.exec(verdicts.get(frontend) ?? '') ?? []
      const reached = `${slot < Number(outside) ? 'outside' : ''} ${slot >= Number(inside) ? 'inside' : ''}`
      return `${name} ${frontend} : ${data.join(' ')} ${reached}`
    })
  })
  for (const [frontend, numbers] of slots)
    assert.deepEqual(
      numbers.sort((a, b) => a - b),
      numbers.map((_, i) => i),
      frontend,
    )
  return [...found, ...table.chains.map(({ name, rules }) => `chain ${name} ${rules.length}`)].sort()
}
