// Real pods on two nodes, each a namespace: how they reach each other.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addAddress, addRoute, openRtnetlink, writeSysctl } from 'nft-js'
import { freshNetns, needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { asNodes, inside, makeNode, makeSwitch, netOf, openOn, ping, pod, scoped } from './nodes.fixture.ts'

for (const { backend, way } of [
  { backend: 'host-gw', way: /via 192\.168\.77\.2 dev eth0/ },
  { backend: 'auto', way: /via 192\.168\.77\.2 dev eth0/ },
  { backend: 'vxlan', way: /via 10\.42\.2\.1 dev coracle\.vx/ },
] as const)
  test(`pods of two nodes on one link reach each other: ${backend}`, { skip: needsRoot }, async (context) => {
    const t = scoped(context)
    const middle = await makeSwitch(t)
    const nodes = [await makeNode(t, 1, { middle }), await makeNode(t, 2, { middle })] as const
    const [one, two] = [await openOn(t, { ...nodes[0], backend }), await openOn(t, { ...nodes[1], backend })]
    for (const network of [one, two]) await network.applyNodes(asNodes(nodes))
    const [a, b] = [await one.setup(pod('a')), await two.setup(pod('b'))]
    // The largest packet that the pods' MTU allows, not to be fragmented on the way.
    const mtu = backend === 'host-gw' ? 1500 : 1450
    await ping(netOf(a), b.ips[0]!, '-s', String(mtu - 28))
    await ping(netOf(b), a.ips[0]!)
    await ping(nodes[0].netns, b.ips[0]!)
    assert.match(await inside(nodes[0].netns, 'ip', 'route', 'get', b.ips[0]!), way)

    const state = () =>
      inside(nodes[0].netns, 'sh', '-c', 'ip route; ip neigh show nud permanent; bridge fdb show dev coracle.vx 2>/dev/null; true')
    const settled = await state()
    await one.applyNodes(asNodes(nodes))
    assert.equal(await state(), settled)
    await one.applyNodes(asNodes([nodes[0]]))
    assert.doesNotMatch(await state(), /10\.42\.2\./)
  })

for (const { stack, backend } of [
  { stack: 'IPv6', backend: 'host-gw' },
  { stack: 'IPv6', backend: 'vxlan' },
  { stack: 'dual', backend: 'auto' },
  { stack: 'dual', backend: 'vxlan' },
] as const)
  test(`pods of two nodes with ${stack} addresses reach each other: ${backend}`, { skip: needsRoot }, async (context) => {
    const t = scoped(context)
    const middle = await makeSwitch(t)
    const nodes = [await makeNode(t, 1, { middle, stack }), await makeNode(t, 2, { middle, stack })] as const
    const [one, two] = [await openOn(t, { ...nodes[0], backend }), await openOn(t, { ...nodes[1], backend })]
    for (const network of [one, two]) await network.applyNodes(asNodes(nodes))
    const [a, b] = [await one.setup(pod('a')), await two.setup(pod('b'))]
    // Outer headers: 50 bytes over IPv4, 70 over IPv6, which alone the nodes without IPv4 have.
    const mtu = backend === 'host-gw' ? 1500 : stack === 'IPv6' ? 1430 : 1450
    for (const to of b.ips) {
      await ping(netOf(a), to, '-s', String(mtu - (to.includes(':') ? 48 : 28)))
      await ping(nodes[0].netns, to)
    }
    for (const to of a.ips) await ping(netOf(b), to)
    const way = await inside(nodes[0].netns, 'ip', '-6', 'route', 'get', b.ips.at(-1)!)
    assert.match(way, backend === 'vxlan' ? /via fd42:0:0:2::1 dev coracle\.vx .*src fd42:0:0:1::1/ : /via fd77::2 dev eth0/)

    const state = () =>
      inside(
        nodes[0].netns,
        'sh',
        '-c',
        'ip route; ip -6 route; ip neigh show nud permanent; ip -6 neigh show nud permanent; bridge fdb show dev coracle.vx 2>/dev/null; true',
      )
    const settled = await state()
    await one.applyNodes(asNodes(nodes))
    assert.equal(await state(), settled)
    await one.applyNodes(asNodes([nodes[0]]))
    assert.doesNotMatch(await state(), /10\.42\.2\.|fd42:0:0:2:/)
  })

test('nodes with a router between them are tunnelled to without being told', { skip: needsRoot }, async (context) => {
  const t = scoped(context)
  const router = await freshNetns(t)
  const nodes = [
    await makeNode(t, 1, { middle: router, nodeIPs: ['192.168.81.2'] }),
    await makeNode(t, 2, { middle: router, nodeIPs: ['192.168.82.2'] }),
  ] as const
  await writeSysctl('net.ipv4.ip_forward', '1', router)
  await using rt = await openRtnetlink({ netns: router })
  for (const index of [1, 2]) {
    await rt.run([addAddress({ link: (await rt.link(`port${index}`))!.index, address: `192.168.8${index}.1`, prefix: 24 })])
    await using there = await openRtnetlink({ netns: nodes[index - 1]!.netns })
    await there.run([addRoute({ to: 'default', via: `192.168.8${index}.1` })])
  }
  const [one, two] = [await openOn(t, nodes[0]), await openOn(t, nodes[1])]
  for (const network of [one, two]) await network.applyNodes(asNodes(nodes))
  const [a, b] = [await one.setup(pod('a')), await two.setup(pod('b'))]
  await ping(netOf(a), b.ips[0]!, '-s', '1422')
})
