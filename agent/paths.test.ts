// Real packets between two nodes with pod network and services, in both families: which way they go, and
// whom the pod at the end sees.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { addAddress, addRoute, openConntrack, openNft, openRtnetlink } from 'nft-js'
import { needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { familyOf } from '#api/cidr.ts'
import { silent } from '#api/log.ts'
import { asNodes, makeNode, makeSwitch, netOf, openOn, pod, scoped } from './network/nodes.fixture.ts'
import type { PodNetwork } from './network/pod-network.ts'
import { service, slice } from './proxy/fixtures.ts'
import { startPeer } from './proxy/network.fixture.ts'
import { openProxy, type Proxy } from './proxy/proxy.ts'
import { openRuleset } from './ruleset/ruleset.ts'

const families = {
  IPv4: { outside: '192.168.77.100', external: '198.51.100.7', services: '10.43.0.0/16', service: (n: number) => `10.43.7.${n}`, at: 0 },
  IPv6: { outside: 'fd77::100', external: '2001:db8:7::7', services: 'fd43::/112', service: (n: number) => `fd43::7${n}`, at: 1 },
}
const ports = { tcp: 8080, udp: 5353 }

/** Pods a and c on the first node, b on the second; `outside` is a host on the nodes' link. */
const world = async (context: TestContext, backend: 'auto' | 'vxlan') => {
  const t = scoped(context)
  const middle = await makeSwitch(t)
  await using rt = await openRtnetlink({ netns: middle })
  const link = (await rt.link('br0'))!.index
  const outsides = Object.values(families).map(({ outside }) => outside)
  await rt.run(outsides.map((address) => addAddress({ link, address, prefix: familyOf(address) === 'IPv4' ? 24 : 64 })))
  const nodes = [await makeNode(t, 1, { middle, stack: 'dual' }), await makeNode(t, 2, { middle, stack: 'dual' })] as const
  await rt.run(
    Object.values(families).map(({ external, at }) =>
      addRoute({ to: `${external}/${at === 0 ? 32 : 128}`, via: nodes[0].nodeIPs[at]!, link }),
    ),
  )
  const made: { network: PodNetwork; proxy: Proxy }[] = []
  for (const node of nodes) {
    await using inside = await openRtnetlink({ netns: node.netns })
    await inside.run(outsides.map((via) => addRoute({ to: 'default', via })))
    const network = await openOn(t, { ...node, backend })
    await network.applyNodes(asNodes(nodes))
    const { netns, nodeName, podCIDRs } = node
    const [nft, conntrack] = [await openNft({ netns }), await openConntrack({ netns })]
    t.after(() => {
      nft.close()
      conntrack.close()
    })
    const networks = {
      ip: { cluster: '10.42.0.0/16', pods: podCIDRs[0]!, services: families.IPv4.services },
      ip6: { cluster: 'fd42::/56', pods: podCIDRs[1]!, services: families.IPv6.services },
    }
    made.push({ network, proxy: openProxy({ ruleset: openRuleset(nft), conntrack, log: silent, nodeName, networks }) })
  }
  const [one, two] = made as [(typeof made)[0], (typeof made)[0]]
  const pods = { a: await one.network.setup(pod('a')), b: await two.network.setup(pod('b')), c: await one.network.setup(pod('c')) }
  const peer = async (name: string, netns: string) => {
    const running = await startPeer(t, netns)
    await running.listen('tcp', ports.tcp, name)
    await running.listen('udp', ports.udp, name)
    return running
  }
  const [a, b, c, outside, node] = await Promise.all([
    peer('a', netOf(pods.a)),
    peer('b', netOf(pods.b)),
    peer('c', netOf(pods.c)),
    peer('outside', middle),
    peer('node', nodes[0].netns),
  ])
  const tell = (...told: ((proxy: Proxy) => void)[]) =>
    Promise.all(
      made.map(({ proxy }) => {
        for (const each of told) each(proxy)
        return proxy.apply()
      }),
    )
  return { nodes, pods, peers: { a, b, c, outside, node }, gateways: one.network.gateways, tell }
}

for (const backend of ['auto', 'vxlan'] as const)
  test(`whom a pod sees, by each way to it: ${backend}`, { skip: needsRoot }, async (context) => {
    const { nodes, pods, peers, gateways, tell } = await world(context, backend)
    for (const { outside, external, service: at, at: i } of Object.values(families)) {
      const [ipA = '', ipB = '', ipC = ''] = [pods.a, pods.b, pods.c].map(({ ips }) => ips[i])
      const [nodeOne = '', nodeTwo = ''] = nodes.map(({ nodeIPs }) => nodeIPs[i])
      const gateway = gateways[i] ?? ''
      const base = 30_000 + i * 100
      const nodePort = (nodePort: number) => ({ type: 'NodePort' as const, ports: [{ port: 80, nodePort }] })
      const endpoint = (address: string, nodeName: string) => ({ addresses: [address], nodeName })
      const services = [
        service('to-a', at(1), nodePort(base + 1)),
        service('to-b', at(2), { ...nodePort(base + 2), externalIPs: [external] }),
        service('local-b', at(3), { ...nodePort(base + 3), externalTrafficPolicy: 'Local' }),
      ]
      const slices = [
        slice('to-a', [endpoint(ipA, 'node-1')]),
        slice('to-b', [endpoint(ipB, 'node-2')]),
        slice('local-b', [endpoint(ipB, 'node-2')]),
      ]
      await tell((proxy) => {
        for (const each of services) proxy.serviceChanged({ namespace: 'default', name: each.metadata.name }, each)
        for (const each of slices) proxy.sliceChanged({ namespace: 'default', name: each.metadata.name }, each)
      })
      // What leaves the first node masqueraded has the address of the link it leaves by.
      const leaving = backend === 'vxlan' ? gateway : nodeOne
      const seen: Record<string, string> = {}
      const expected: Record<string, string> = {}
      for (const [what, from, host, port, answer] of [
        ['a pod of another node', 'a', ipB, ports.tcp, `b ${ipA}`],
        ['a service, on another node', 'a', at(2), 80, `b ${ipA}`],
        ['a service, on the same node', 'c', at(1), 80, `a ${ipC}`],
        ['its own service', 'a', at(1), 80, `a ${gateway}`],
        ['a service, from the node', 'node', at(2), 80, `b ${leaving}`],
        ['a node port, on the same node', 'outside', nodeOne, base + 1, `a ${gateway}`],
        ['a node port, on another node', 'outside', nodeOne, base + 2, `b ${leaving}`],
        ['an external address', 'outside', external, 80, `b ${leaving}`],
        ['a node port, local', 'outside', nodeTwo, base + 3, `b ${outside}`],
        ['a node port, local, on a node without', 'outside', nodeOne, base + 3, 'TIMEOUT'],
      ] as const) {
        expected[what] = answer
        seen[what] = await peers[from].ask('tcp', host, port, { patience: 500 })
      }
      assert.deepEqual(seen, expected)
    }
  })

test('a UDP client is sent on when the backend that it spoke with goes, from node to node', { skip: needsRoot }, async (context) => {
  const { pods, peers, tell } = await world(context, 'auto')
  for (const { service: at, at: i } of Object.values(families)) {
    const name = { namespace: 'default', name: 'udp' }
    const udp = service('udp', at(9), { ports: [{ port: 53, protocol: 'UDP' }] })
    const to = (sandbox: typeof pods.a) => slice('udp', [sandbox.ips[i] ?? ''], [{ name: '', protocol: 'UDP', port: ports.udp }])
    await tell((proxy) => {
      proxy.serviceChanged(name, udp)
      proxy.sliceChanged(name, to(pods.b))
    })
    const ask = () => peers.c.ask('udp', at(9), 53, { localPort: 7777 })
    assert.equal(await ask(), `b ${pods.c.ips[i]}`)
    await tell((proxy) => proxy.sliceChanged(name, to(pods.a)))
    assert.equal(await ask(), `a ${pods.c.ips[i]}`)
  }
})
