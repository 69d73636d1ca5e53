// What is under the pod network changes: addresses, links, their MTU. Pods stay, and reach each other again.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { AF_INET, AF_INET6, addAddress, type Change, deleteAddress, deleteLink, openRtnetlink, setLink } from 'nft-js'
import { needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { asNodes, inside, makeNode, makeSwitch, netOf, nextChange, openOn, ping, pod, type Stack, scoped } from './nodes.fixture.ts'
import type { Backend } from './nodes.ts'

const pair = async (context: TestContext, stack: Stack, backend: Backend) => {
  const t = scoped(context)
  const middle = await makeSwitch(t)
  const nodes = [await makeNode(t, 1, { middle, stack }), await makeNode(t, 2, { middle, stack })] as const
  const [one, two] = [await openOn(t, { ...nodes[0], backend }), await openOn(t, { ...nodes[1], backend })]
  for (const network of [one, two]) await network.applyNodes(asNodes(nodes))
  const [a, b] = [await one.setup(pod('a')), await two.setup(pod('b'))]
  const rt = await openRtnetlink({ netns: nodes[1].netns })
  t.after(() => rt.close())
  const reach = async () => {
    for (const to of b.ips) await ping(netOf(a), to)
    for (const to of a.ips) await ping(netOf(b), to)
  }
  await reach()
  return { nodes, one, two, a, b, rt, reach, eth0: (await rt.link('eth0'))!.index }
}
const ourRoute = (to: string) => (change: Change) =>
  change.kind === 'route' && !change.gone && change.route.protocol === 67 && change.route.to === to

for (const backend of ['vxlan', 'host-gw'] as const)
  test(`a node gets other addresses: ${backend}`, { skip: needsRoot }, async (context) => {
    const { nodes, one, two, rt, eth0, a, b, reach } = await pair(context, 'dual', backend)
    const before = await inside(netOf(b), 'ip', '-o', 'addr')
    for (const { address, prefix } of (await rt.addresses(eth0)).filter(({ scope }) => scope === 0))
      await rt.run([deleteAddress({ link: eth0, address, prefix })])
    await rt.run([
      addAddress({ link: eth0, address: '192.168.77.9', prefix: 24 }),
      addAddress({ link: eth0, address: 'fd77::9', prefix: 64 }),
    ])
    const moved = asNodes([nodes[0], { ...nodes[1], nodeIPs: ['192.168.77.9', 'fd77::9'] }])
    two.moved(['192.168.77.9', 'fd77::9'])
    await Promise.all([one.applyNodes(moved), two.applyNodes(moved)])
    await reach()
    assert.equal(await inside(netOf(b), 'ip', '-o', 'addr'), before)
    assert.deepEqual([await one.setup(pod('a')), await two.setup(pod('b'))], [a, b])
    const left = [
      ...(await rt.routes({ family: AF_INET, protocol: 67 })),
      ...(await rt.routes({ family: AF_INET6, protocol: 67 })),
      ...(backend === 'vxlan' ? await rt.forwardingEntries((await rt.link('coracle.vx'))!.index) : []),
    ]
    assert.equal(left.length, backend === 'vxlan' ? 3 : 2)
    assert.doesNotMatch(await inside(nodes[0].netns, 'sh', '-c', 'ip route; ip -6 route; bridge fdb'), /192\.168\.77\.2\b|fd77::2\b/)
  })

for (const stack of ['IPv4', 'dual'] as const)
  test(`a cable is pulled and put back: ${stack}`, { skip: needsRoot }, async (context) => {
    const { nodes, rt, eth0, reach } = await pair(context, stack, 'auto')
    const kept = (await rt.addresses(eth0)).filter(({ scope }) => scope === 0)
    await rt.run([setLink(eth0, { up: false })])
    const routes = () => Promise.all([AF_INET, AF_INET6].map((family) => rt.routes({ family: family as typeof AF_INET, protocol: 67 })))
    assert.deepEqual(await routes(), [[], []])
    const ranges = nodes[0].podCIDRs
    const back = await Promise.all(ranges.map((range) => nextChange(nodes[1].netns, ourRoute(range))))
    await rt.run([setLink(eth0, { up: true })])
    // The kernel drops IPv6 addresses with the link; whoever configures the host gives them back.
    await rt.run(
      kept.map((address) => addAddress(address)),
      { tolerate: ['EEXIST'] },
    )
    await Promise.all(back.map(({ seen }) => seen))
    // The kernel itself may lose a packet while neighbours find each other again.
    while (
      !(await reach().then(
        () => true,
        () => false,
      ))
    );
  })

test('the link under the tunnel carries less, and more again: so do pods', { skip: needsRoot }, async (context) => {
  const { nodes, two, rt, eth0, b } = await pair(context, 'dual', 'vxlan')
  const mtuOf = async (netns: string, link: string) => Number(/mtu (\d+)/.exec(await inside(netns, 'ip', 'link', 'show', link))?.[1])
  for (const [under, expected] of [
    [1400, 1350],
    [1500, 1450],
  ] as const) {
    const { seen } = await nextChange(netOf(b), (change) => change.kind === 'link' && change.link.mtu === expected)
    await rt.run([setLink(eth0, { mtu: under })])
    await seen
    await two.applyNodes(asNodes(nodes))
    assert.deepEqual(await Promise.all([mtuOf(netOf(b), 'eth0'), mtuOf(nodes[1].netns, 'coracle0'), mtuOf(nodes[1].netns, 'coracle.vx')]), [
      expected,
      expected,
      expected,
    ])
    const c = await two.setup(pod(`c${under}`))
    assert.equal(await mtuOf(netOf(c), 'eth0'), expected)
  }
  // Changed while no agent ran.
  await two.close()
  await rt.run([setLink(eth0, { mtu: 1400 })])
  const again = await openOn(scoped(context), { ...nodes[1], backend: 'vxlan' })
  assert.equal(await mtuOf(netOf(b), 'eth0'), 1350)
  await again.close()
})

test('a tunnel that somebody deletes is made again', { skip: needsRoot }, async (context) => {
  const { nodes, rt, reach } = await pair(context, 'dual', 'vxlan')
  const back = await Promise.all(nodes[0].podCIDRs.map((range) => nextChange(nodes[1].netns, ourRoute(range))))
  await rt.run([deleteLink('coracle.vx')])
  await Promise.all(back.map(({ seen }) => seen))
  await reach()
})
