import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node } from '#api/types/core-v1.gen.ts'
import { parseCidr } from './cidr.ts'
import { type Backend, desire, plan, type Reachability, type Surroundings } from './nodes.ts'

const node = (name: string, podCIDR?: string, address?: string): Node =>
  ({ metadata: { name }, spec: { podCIDR }, status: { addresses: address ? [{ type: 'InternalIP', address }] : [] } }) as unknown as Node
const here = (backend: Backend = 'auto'): Surroundings => ({
  nodeName: 'a',
  cidr: parseCidr('10.42.0.0/24')!,
  backend,
  tunnel: 9,
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
  assert.deepEqual(desire(nodes, here('host-gw')).problems, [{ node: 'c', problem: '172.16.0.3 is on no link of this node' }])
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
    { node: 'e', problem: 'nonsense is no IPv4 range' },
    { node: 'f', problem: 'it has no internal IPv4 address yet' },
    { node: 'h', problem: 'its range 10.42.0.0/16 overlaps another node’s' },
  ])
})
