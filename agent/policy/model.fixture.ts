// The model test of network policies: random changes of policies, pods and namespaces; after each the tables are as
// made from nothing, and packets fare as the objects say.

import assert from 'node:assert/strict'
import { fakeNft, type Nft, type Table } from 'nft-js'
import { silent } from '#api/log.ts'
import type { Namespace, Pod } from '#api/types/core-v1.gen.ts'
import type { LabelSelector } from '#api/types/meta-v1.gen.ts'
import type { NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from '#api/types/networking-v1.gen.ts'
import { type Below, pick, randomly } from '../ruleset/random.ts'
import { openRuleset } from '../ruleset/ruleset.ts'
import { forwarded, type Packet } from '../ruleset/simulate.ts'
import { namespace, pod, policy, wholePolicy } from './fixtures.ts'
import type { Family } from './layout.ts'
import { allows, type Connection, type World } from './oracle.ts'
import { openPolicy } from './policy.ts'

const spaces = ['one', 'two', 'three']
const ports = [80, 81, 443, 8080, 9000, 65_535]

const selector = (below: Below): LabelSelector =>
  pick<LabelSelector>(below, [
    {},
    { matchLabels: { app: pick(below, ['a', 'b']) } },
    { matchLabels: { app: 'a', tier: 'x' } },
    { matchExpressions: [{ key: 'tier', operator: 'NotIn', values: ['x'] }] },
    { matchExpressions: [{ key: 'app', operator: 'DoesNotExist' }] },
  ])

const namespaceSelector = (below: Below): LabelSelector =>
  pick<LabelSelector>(below, [
    {},
    { matchLabels: { 'kubernetes.io/metadata.name': pick(below, spaces) } },
    { matchLabels: { team: pick(below, ['x', 'y']) } },
  ])

const peer = (below: Below): NetworkPolicyPeer =>
  pick<NetworkPolicyPeer>(below, [
    { podSelector: selector(below) },
    { namespaceSelector: namespaceSelector(below) },
    { podSelector: selector(below), namespaceSelector: namespaceSelector(below) },
    { ipBlock: { cidr: '0.0.0.0/0', except: pick(below, [[], ['10.42.0.0/16'], ['10.42.0.4/30', '198.51.100.0/25']]) } },
    { ipBlock: { cidr: `10.42.0.${below(16)}/${28 + below(5)}` } },
    { ipBlock: { cidr: '::/0', except: ['fd00:42::8/125'] } },
    { ipBlock: { cidr: 'fd00:42::/122' } },
    { ipBlock: { cidr: '198.51.100.0/24' } },
  ])

const portOf = (below: Below): NetworkPolicyPort => {
  const protocol = pick(below, ['TCP', 'TCP', 'UDP', 'SCTP'] as const)
  const port = pick(below, ports)
  return pick<NetworkPolicyPort>(below, [
    { protocol, port },
    { protocol, port },
    { protocol },
    { protocol, port: pick(below, ['http', 'metrics']) },
    { protocol, port, endPort: Math.min(port + below(1000), 65_535) },
  ])
}

const some = <T>(below: Below, most: number, make: (below: Below) => T): T[] => Array.from({ length: below(most + 1) }, () => make(below))

const randomPolicy = (below: Below, name: string, space: string): NetworkPolicy => {
  const rules = () => some(below, 3, () => ({ ports: some(below, 2, portOf), peers: some(below, 3, peer) }))
  return policy(
    name,
    {
      podSelector: selector(below),
      policyTypes: pick(below, [['Ingress'], ['Egress'], ['Ingress', 'Egress']]),
      ...(below(4) && { ingress: rules().map(({ ports, peers }) => ({ ports, from: peers })) }),
      ...(below(4) && { egress: rules().map(({ ports, peers }) => ({ ports, to: peers })) }),
    },
    space,
  )
}

const randomPod = (below: Below, i: number): Pod =>
  pod(`p${i}`, [`10.42.0.${i}`, `fd00:42::${i.toString(16)}`], {
    namespace: pick(below, spaces),
    node: pick(below, ['here', 'here', 'elsewhere']),
    labels: { app: pick(below, ['a', 'b', 'c']), ...(below(2) && { tier: pick(below, ['x', 'y']) }) },
    ports: [
      { name: 'http', containerPort: pick(below, ports), protocol: pick(below, ['TCP', 'TCP', 'UDP']) },
      { name: 'metrics', containerPort: pick(below, ports) },
    ],
    phase: pick(below, ['Running', 'Running', 'Running', 'Pending', 'Succeeded']),
    hostNetwork: below(12) === 0,
  })

const randomSpace = (below: Below, name: string): Namespace => namespace(name, below(2) ? { team: pick(below, ['x', 'y']) } : {})

/** The tables' sets and chains, whose order is that of their making. */
const content = async (nft: Nft): Promise<string[]> => {
  const dumps = await Promise.all((['ip', 'ip6'] as const).map((family) => nft.dump(family, 'coracle-policy')))
  return dumps.flatMap((text) =>
    text
      .slice(0, -2)
      .split(/\n(?=\t\w)/)
      .map((block) => block.trim())
      .sort(),
  )
}

const strangers = { ip: ['198.51.100.7', '198.51.100.200', '203.0.113.9'], ip6: ['2001:db8::1', 'fd00:42::ffff'] }
const wire = { TCP: 'tcp', UDP: 'udp', SCTP: 'sctp', ICMP: 'icmp' } as const

/** Both directions of a connection meet the fate that the objects say. */
const checkPackets = (below: Below, tables: Record<Family, Table>, world: World, count: number, what: string): void => {
  for (let i = 0; i < count; i++) {
    const family = pick(below, ['ip', 'ip', 'ip6'] as const)
    const addresses = [
      ...Array.from({ length: 16 }, (_, i) => (family === 'ip' ? `10.42.0.${i}` : `fd00:42::${i.toString(16)}`)),
      ...strangers[family],
    ]
    const connection: Connection = {
      from: pick(below, addresses),
      to: pick(below, addresses),
      protocol: pick(below, ['TCP', 'TCP', 'TCP', 'UDP', 'SCTP', 'ICMP']),
      port: pick(below, [...ports, 82, 9500]),
    }
    const wanted = allows(world, connection) ? 'accept' : 'drop'
    const there = {
      source: connection.from,
      destination: connection.to,
      protocol: wire[connection.protocol],
      sourcePort: 40_000,
      destinationPort: connection.port,
    }
    const back = {
      source: there.destination,
      destination: there.source,
      protocol: there.protocol,
      sourcePort: there.destinationPort,
      destinationPort: 40_000,
    }
    const packets: Packet[] = [
      { ...there, state: 'new', direction: 'original' },
      { ...back, state: 'established', direction: 'reply' },
      { ...there, state: 'invalid' },
    ]
    for (const packet of packets) {
      if (forwarded(tables[family], packet) !== wanted)
        assert.fail(`not ${wanted}: ${JSON.stringify({ what, connection, packet, world }, undefined, 1)}`)
    }
  }
}

export const runModel = async (nft: Nft, { steps, seed }: { steps: number; seed: number }): Promise<void> => {
  const below = randomly(seed)
  const open = (nft: Nft) => wholePolicy(openPolicy({ ruleset: openRuleset(nft), log: silent, nodeName: 'here', families: ['ip', 'ip6'] }))
  let enforced = open(nft)
  const policies = new Map<string, NetworkPolicy>()
  const pods = new Map<number, Pod>(Array.from({ length: 10 }, (_, i) => [i, randomPod(below, i)]))
  const namespaces = new Map<string, Namespace>(spaces.map((name) => [name, randomSpace(below, name)]))
  for (let step = 0; step < steps; step++) {
    const i = below(16)
    const space = pick(below, spaces)
    switch (below(8)) {
      case 0:
        pods.delete(i)
        break
      case 1:
        enforced = open(nft)
        break
      case 2:
        namespaces.set(space, randomSpace(below, space))
        break
      case 3:
        policies.delete(`${space}/${below(4)}`)
        break
      case 4:
      case 5: {
        const name = String(below(4))
        policies.set(`${space}/${name}`, randomPolicy(below, name, space))
        break
      }
      default:
        pods.set(i, randomPod(below, i))
    }
    const state = { policies: [...policies.values()], pods: [...pods.values()], namespaces: [...namespaces.values()] }
    assert.deepEqual((await enforced.apply({ ...state, placed: [] })).errors, [])
    const fresh = fakeNft()
    await open(fresh).apply({ ...state, placed: [] })
    assert.deepEqual(await content(nft), await content(fresh), `seed ${seed}, step ${step}`)
    const [ip, ip6] = await Promise.all([nft.list('ip', 'coracle-policy'), nft.list('ip6', 'coracle-policy')])
    assert(ip && ip6)
    checkPackets(below, { ip, ip6 }, { ...state, nodeName: 'here' }, 60, `seed ${seed}, step ${step}`)
  }
}
