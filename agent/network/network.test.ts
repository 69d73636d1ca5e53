// Real pods in real namespaces on one node.

import assert from 'node:assert/strict'
import { closeSync, openSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { deleteLink, namespaces, openRtnetlink, readSysctl, writeSysctl } from 'nft-js'
import { needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { cleanupNetwork } from './cleanup.ts'
import { vethName } from './names.ts'
import { openPodNetwork } from './network.ts'
import { asNodes, inside, makeNode, netOf, openOn, ping, pod, run, scoped } from './nodes.fixture.ts'

test('a pod reaches its gateway, the DNS address, its node and its neighbours; teardown leaves nothing', {
  skip: needsRoot,
}, async (context) => {
  const t = scoped(context)
  const node = await makeNode(t, 1)
  const network = await openOn(t, node)
  const links = async () => (await inside(node.netns, 'ip', '-o', 'link')).replaceAll(/<.*?>|state \w+/g, '')
  const before = await links()
  const [a, b] = await Promise.all([network.setup(pod('a')), network.setup(pod('b'))])
  assert.deepEqual([network.gateways, a.ips, b.ips], [['10.42.1.1'], ['10.42.1.2'], ['10.42.1.3']])
  assert.deepEqual(await network.setup(pod('a')), a)
  for (const to of ['10.42.1.1', '10.43.0.10', '192.168.77.1', '10.42.1.3', '127.0.0.1']) await ping(netOf(a), to)
  await ping(node.netns, '10.42.1.2')
  assert.equal((await run('nsenter', [`--uts=${a.namespaces.uts}`, 'hostname'])).stdout, 'pod-a\n')
  // Past the host's IP layer, though both are ports of one bridge: the answer has crossed one router.
  assert.match(await ping(netOf(a), '10.42.1.3'), /ttl=63/)
  assert.match(await inside(netOf(a), 'ip', 'link', 'show', 'eth0'), /mtu 1450/)

  assert.deepEqual((await network.list()).sort(), ['a', 'b'])
  await Promise.all([network.teardown('a'), network.teardown('b'), network.teardown('never-there')])
  await network.teardown('a')
  assert.equal(await links(), before)
  assert.deepEqual(readdirSync(join(node.dataDir, 'netns')), [])
  assert.deepEqual(await network.list(), [])
  assert.deepEqual((await network.setup(pod('c'))).ips, ['10.42.1.4'])
})

for (const stack of ['IPv6', 'dual'] as const)
  test(`with ${stack} addresses a pod reaches and is reached at once`, { skip: needsRoot }, async (context) => {
    const t = scoped(context)
    const node = await makeNode(t, 1, { stack })
    const network = await openOn(t, node)
    const links = async () => (await inside(node.netns, 'ip', '-o', 'link')).replaceAll(/<.*?>|state \w+/g, '')
    const before = await links()
    const [a, b] = await Promise.all([network.setup(pod('a')), network.setup(pod('b'))])
    const six = ['fd42:0:0:1::2', 'fd42:0:0:1::3']
    const four = stack === 'dual' ? ['10.42.1.2', '10.42.1.3'] : []
    assert.deepEqual(
      [a.ips, b.ips],
      [0, 1].map((i) => [...four.slice(i, i + 1), six[i]]),
    )
    // No address waits for anybody to object to it.
    assert.doesNotMatch(await inside(netOf(a), 'ip', '-6', 'addr'), /tentative/)
    for (const to of [...network.gateways, 'fd43::a', ...node.nodeIPs, ...b.ips, '::1']) await ping(netOf(a), to)
    await ping(node.netns, six[0]!)
    assert.match(await ping(netOf(a), six[1]!), /ttl=63/)
    assert.match(await inside(netOf(a), 'ip', '-6', 'route', 'show', 'default'), /via fd42:0:0:1::1 dev eth0/)
    // A pod that plays the router is not listened to, and pods are shown no way around the host.
    for (const [netns, setting] of [
      [node.netns, 'net/ipv6/conf/coracle0/accept_ra'],
      [netOf(a), 'net/ipv6/conf/eth0/accept_ra'],
      [netOf(a), 'net/ipv6/conf/eth0/accept_redirects'],
    ] as const)
      assert.equal(await readSysctl(setting, netns), '0', setting)
    await network.close()
    const again = await openOn(t, node)
    assert.deepEqual(await again.setup(pod('a')), a)
    await ping(netOf(a), six[1]!)
    await Promise.all([again.teardown('a'), again.teardown('b')])
    assert.equal(await links(), before)
  })

test('a pod that has addresses of one family only gets the other, and keeps what it has', { skip: needsRoot }, async (context) => {
  const t = scoped(context)
  const node = await makeNode(t, 1, { stack: 'dual' })
  const single = await openPodNetwork({ ...node, podCIDRs: ['10.42.1.0/24'] })
  const before = await single.setup(pod('a'))
  await single.close()
  const dual = await openOn(t, node)
  const after = await dual.setup(pod('a'))
  assert.deepEqual([before.ips, after.ips], [['10.42.1.2'], ['10.42.1.2', 'fd42:0:0:1::2']])
  await ping(node.netns, 'fd42:0:0:1::2')
})

test('a host that hears its routers goes on hearing them while it forwards', { skip: needsRoot }, async (context) => {
  const t = scoped(context)
  const node = await makeNode(t, 1, { stack: 'dual' })
  const settings = ['net/ipv6/conf/eth0/accept_ra', 'net/ipv6/conf/default/accept_ra', 'net/ipv6/conf/all/forwarding'] as const
  const read = () => Promise.all(settings.map((name) => readSysctl(name, node.netns)))
  await writeSysctl(settings[0], '1', node.netns)
  const before = await read()
  const network = await openOn(t, node)
  assert.deepEqual([(await read())[0], (await read())[2]], ['2', '1'])
  await network.close()
  await cleanupNetwork(node)
  assert.deepEqual(await read(), before)
})

test('an agent that crashed finds its pods again, and half-made ones are made whole', { skip: needsRoot }, async (context) => {
  const t = scoped(context)
  const node = await makeNode(t, 1)
  const first = await openPodNetwork(node)
  const a = await first.setup(pod('a'))
  await first.setup(pod('b'))
  await first.setup(pod('c'))
  await first.close()
  // One crash after the namespace, one that lost its link, one between unpinning and the folder's removal.
  const half = (uid: string) => join(node.dataDir, 'netns', uid, 'net')
  await namespaces.create({ net: half('half') })
  await using rt = await openRtnetlink({ netns: node.netns })
  await rt.run([deleteLink(vethName('b'))])
  await namespaces.unpin(half('c'))

  const second = await openOn(t, node)
  assert.deepEqual(await second.setup(pod('a')), a)
  for (const [uid, address] of [
    ['b', '10.42.1.3'],
    ['half', '10.42.1.4'],
    ['d', '10.42.1.5'],
  ] as const) {
    const made = await second.setup(pod(uid))
    assert.deepEqual(made.ips, [address])
    await ping(netOf(a), address)
  }
  assert.deepEqual((await second.list()).sort(), ['a', 'b', 'c', 'd', 'half'])
  for (const uid of await second.list()) await second.teardown(uid)
  assert.deepEqual(readdirSync(join(node.dataDir, 'netns')), [])
  assert.doesNotMatch(await inside(node.netns, 'ip', '-o', 'link'), /cor[\da-f]{12}/)
})

test('a setup that fails leaves nothing and takes no address', { skip: needsRoot }, async (context) => {
  const t = scoped(context)
  const node = await makeNode(t, 1)
  const network = await openOn(t, { ...node, podCIDRs: ['10.42.1.0/30'] })
  // The pod's end of the pair cannot have its name.
  const taken = join(node.dataDir, 'netns', 'a', 'net')
  await namespaces.create({ net: taken })
  await inside(taken, 'ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth1')
  await assert.rejects(network.setup(pod('a')), { name: 'SysError', syscall: 'netlink' })
  assert.deepEqual(readdirSync(join(node.dataDir, 'netns')), [])
  await assert.rejects(network.setup(pod('../a')), { code: 'EINVAL' })
  await network.close()
  const again = await openOn(t, { ...node, podCIDRs: ['10.42.1.0/30'] })
  assert.deepEqual((await again.setup(pod('a'))).ips, ['10.42.1.2'])
  await assert.rejects(again.setup(pod('b')), { code: 'EADDRNOTAVAIL' })
  assert.deepEqual(await again.list(), ['a'])
  await again.teardown('a')
  assert.deepEqual((await again.setup(pod('b'))).ips, ['10.42.1.2'])
})

test('a namespace that a process still holds gives up its link all the same', { skip: needsRoot }, async (context) => {
  const t = scoped(context)
  const node = await makeNode(t, 1)
  const network = await openOn(t, node)
  const a = await network.setup(pod('a'))
  const held = openSync(netOf(a), 'r')
  t.after(() => closeSync(held))
  await network.teardown('a')
  assert.doesNotMatch(await inside(node.netns, 'ip', '-o', 'link'), /cor[\da-f]{12}/)
})

test('cleaning up takes everything and gives settings back', { skip: needsRoot }, async (context) => {
  const t = scoped(context)
  const node = await makeNode(t, 1)
  await writeSysctl('net.ipv4.ip_forward', '0', node.netns)
  const state = () =>
    inside(
      node.netns,
      'sh',
      '-c',
      'ip -o link; ip addr; ip route; ip rule; ip neigh; grep -r . /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf | sort',
    )
  const before = await state()
  const network = await openOn(t, { ...node, backend: 'vxlan' })
  await network.applyNodes(asNodes([node, { ...node, nodeName: 'node-2', nodeIPs: ['192.168.77.2'], podCIDRs: ['10.42.2.0/24'] }]))
  await network.setup(pod('a'))
  assert.equal(await readSysctl('net.ipv4.ip_forward', node.netns), '1')
  await network.close()
  await cleanupNetwork(node)
  assert.equal(await state(), before)
  assert.deepEqual(
    [await readSysctl('net.ipv4.ip_forward', node.netns), await readSysctl('net.ipv4.conf.all.send_redirects', node.netns)],
    ['0', '1'],
  )
  assert.deepEqual(readdirSync(node.dataDir), ['netns'])
  await cleanupNetwork(node)
})

test('the address that the node’s links had under another configuration gives way', { skip: needsRoot }, async (context) => {
  const t = scoped(context)
  const node = await makeNode(t, 1)
  await (await openPodNetwork(node)).close()
  writeFileSync(join(node.dataDir, 'netns', 'stray'), '')
  const network = await openOn(t, { ...node, podCIDRs: ['10.42.9.0/24'], backend: 'host-gw' })
  assert.match(await inside(node.netns, 'ip', '-o', 'addr', 'show', 'coracle0'), /10\.42\.9\.1\/24/)
  assert.doesNotMatch(await inside(node.netns, 'ip', '-o', 'addr'), /10\.42\.1\.1|coracle\.vx/)
  await assert.rejects(openPodNetwork({ ...node, podCIDRs: ['fd00::/127'] }), { code: 'EINVAL' })
  assert.equal(network.gateways[0], '10.42.9.1')
})
