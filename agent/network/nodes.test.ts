import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCidr } from '#api/cidr.ts'
import type { Node } from '#api/types/core-v1.gen.ts'
import { type Backend, desire, plan, type Reachability, type Surroundings } from './nodes.ts'

const node = (name: string, podCIDR?: string, address?: string): Node =>
  ({ metadata: { name }, spec: { podCIDR }, status: { addresses: address ? [{ type: 'InternalIP', address }] : [] } }) as unknown as Node
const here = (backend: Backend = 'auto'): Surroundings => ({
  nodeName: 'a',
  cidrs: [parseCidr('10.42.0.0/24')!],
  backend,
  tunnel: { link: 9, local: '192.168.1.1' },
  addresses: [{ link: 2, address: '192.168.1.1', prefix: 24, scope: 0 }],
})
const nothing: Reachability = { routes: [], neighbours: [], forwarding: [] }
const nodes = [node('a', '10.42.0.0/24', '192.168.1.1'), node('b', '10.42.1.0/24', '192.168.1.2'), node('c', '10.42.2.0/24', '172.16.0.3')]
const steps = (current: Reachability, wanted: readonly Node[], surroundings = here()) =>
  plan(current, desire(wanted, surroundings).desired).map((command) => command.detail)

test('a node on the same link is routed to, one that is not is tunnelled to', () => {
  assert.deepEqual(steps(nothing, nodes), [
    'replace forwarding entry 0a:58:ac:10:00:03 to 172.16.0.3 on link 9',
    'replace neighbour 10.42.2.1 at 0a:58:ac:10:00:03 on link 9',
    'add route 10.42.1.0/24 via 192.168.1.2 link 2',
    'add route 10.42.2.0/24 via 10.42.2.1 link 9',
  ])
})

test('a backend that is forced is the only one', () => {
  assert.equal(steps(nothing, nodes, here('vxlan')).filter((step) => step.startsWith('add route')).length, 2)
  assert.deepEqual(steps(nothing, nodes, here('host-gw')), ['add route 10.42.1.0/24 via 192.168.1.2 link 2'])
  assert.deepEqual(desire(nodes, here('host-gw')).problems, [{ node: 'c', problem: '172.16.0.3: no IPv4 address on a link of this node' }])
  assert.deepEqual(steps(nothing, nodes, here('routed')), ['add route 10.42.1.0/24 via 192.168.1.2 link 2'])
  assert.deepEqual(desire(nodes, here('routed')).problems, [])
  assert.deepEqual(desire(nodes, { ...here(), tunnel: undefined }).problems, [{ node: 'c', problem: 'there is no tunnel on this node' }])
})

test('what is as it should be is left alone; what left goes; what moved is replaced', () => {
  const { desired } = desire(nodes, here())
  assert.deepEqual(steps(desired, nodes), [])
  assert.deepEqual(steps(desired, nodes.slice(0, 2)), [
    'delete route 10.42.2.0/24 via 10.42.2.1 link 9',
    'delete neighbour 10.42.2.1 on link 9',
    'delete forwarding entry 0a:58:ac:10:00:03 to 172.16.0.3 on link 9',
  ])
  assert.deepEqual(steps(desired, [nodes[1]!, node('c', '10.42.2.0/24', '172.16.0.4')]), [
    'replace forwarding entry 0a:58:ac:10:00:04 to 172.16.0.4 on link 9',
    'replace neighbour 10.42.2.1 at 0a:58:ac:10:00:04 on link 9',
    'delete forwarding entry 0a:58:ac:10:00:03 to 172.16.0.3 on link 9',
  ])
  assert.deepEqual(steps(desired, nodes, here('vxlan')).slice(-1), ['replace route 10.42.1.0/24 via 10.42.1.1 link 9'])
})

test('a node that makes no sense costs only its own pods', () => {
  const broken = [
    node('d', '10.42.1.128/25', '192.168.1.4'),
    node('e', 'nonsense', '192.168.1.5'),
    node('f', '10.42.6.0/24'),
    node('g', undefined, '192.168.1.7'),
    node('h', '10.42.0.0/16', '192.168.1.8'),
  ]
  const { desired, problems } = desire([...broken, ...nodes], here())
  assert.deepEqual(desired, desire(nodes, here()).desired)
  assert.deepEqual(problems, [
    { node: 'd', problem: 'its range 10.42.1.128/25 overlaps another node’s' },
    { node: 'e', problem: 'nonsense is no range of addresses' },
    { node: 'f', problem: 'it has no internal address yet' },
    { node: 'h', problem: 'its range 10.42.0.0/16 overlaps another node’s' },
  ])
})

const dual = (name: string, index: number, ...addresses: string[]): Node =>
  ({
    metadata: { name },
    spec: { podCIDR: `10.42.${index}.0/24`, podCIDRs: [`10.42.${index}.0/24`, `fd42:0:0:${index}::/64`] },
    status: { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) },
  }) as unknown as Node
const dualHere = (local: string): Surroundings => ({
  nodeName: 'a',
  cidrs: [parseCidr('10.42.0.0/24')!, parseCidr('fd42::/64')!],
  backend: 'auto',
  tunnel: { link: 9, local },
  addresses: [
    { link: 2, address: '192.168.1.1', prefix: 24, scope: 0 },
    { link: 2, address: 'fd00::1', prefix: 64, scope: 0 },
    { link: 3, address: 'fd01::1', prefix: 128, scope: 0 },
  ],
})

test('each family goes its own way: the link that both nodes are on in it, or the tunnel of the one that tunnels have', () => {
  assert.deepEqual(steps(nothing, [dual('b', 1, '192.168.1.2', 'FD00:0::2')], dualHere('192.168.1.1')), [
    'add route 10.42.1.0/24 via 192.168.1.2 link 2',
    'add route fd42:0:0:1::/64 via fd00::2 link 2',
  ])
  assert.deepEqual(steps(nothing, [dual('b', 1, '192.168.1.2', 'fd77::2')], dualHere('192.168.1.1')), [
    'replace forwarding entry 0a:58:c0:a8:01:02 to 192.168.1.2 on link 9',
    'replace neighbour fd42:0:0:1::1 at 0a:58:c0:a8:01:02 on link 9',
    'add route 10.42.1.0/24 via 192.168.1.2 link 2',
    'add route fd42:0:0:1::/64 via fd42:0:0:1::1 link 9',
  ])
  // Both through the tunnel share its one entry.
  assert.equal(steps(nothing, [dual('b', 1, 'fd77::2')], dualHere('fd00::1')).filter((step) => step.includes('forwarding')).length, 1)
  assert.deepEqual(desire([dual('b', 1, 'fd77::2')], dualHere('192.168.1.1')).problems, [
    { node: 'b', problem: 'fd77::2: no IPv4 address, as tunnels here have' },
    { node: 'b', problem: 'fd77::2: no IPv4 address, as tunnels here have' },
  ])
  const { desired, problems } = desire([dual('b', 1, '192.168.1.2', 'fd00::2')], here())
  assert.deepEqual(
    [desired.routes.map(({ to }) => to), problems],
    [['10.42.1.0/24'], []],
    'a family that pods here do not have needs no way',
  )
})
