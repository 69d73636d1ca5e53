// Real pods in real namespaces: each node is a network namespace, joined to others by a bridge or a
// router in one more. The namespaces go with the test, and everything in them.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { addAddress, addBridge, addRoute, addVeth, deleteLink, namespaces, openRtnetlink, readSysctl, setLink, writeSysctl } from 'nft-js'
import { freshNetns, needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { silent } from '#api/log.ts'
import type { Node } from '#api/types/core-v1.gen.ts'
import { cleanupNetwork } from './cleanup.ts'
import { vethName } from './names.ts'
import { openPodNetwork, type PodNetworkOptions, type PodSandbox } from './network.ts'

const run = promisify(execFile)
const inside = async (netns: string, ...command: string[]) => (await run('nsenter', [`--net=${netns}`, ...command])).stdout
const ping = (from: string, to: string, ...flags: string[]) => inside(from, 'busybox', 'ping', '-c', '1', '-W', '2', ...flags, to)
const netOf = (sandbox: PodSandbox) => sandbox.namespaces.net
const pod = (uid: string) => ({ uid, namespace: 'default', name: `pod-${uid}`, hostname: `pod-${uid}` })

/** A test's cleanups, last first: what was opened in a namespace is closed before that goes. */
type Scope = { after(cleanup: () => unknown): void }
const scoped = (t: TestContext): Scope => {
  const stack = new AsyncDisposableStack()
  t.after(() => stack.disposeAsync())
  return { after: (cleanup) => stack.defer(async () => void (await cleanup())) }
}

type TestNode = Pick<PodNetworkOptions, 'dataDir' | 'nodeName' | 'nodeIP' | 'podCIDR' | 'log'> & { netns: string }

/** A node's namespace with its link: `eth0` there, a port of `middle` here. */
const makeNode = async (t: Scope, index: number, options: { middle?: string; nodeIP?: string } = {}): Promise<TestNode> => {
  const { middle, nodeIP = `192.168.77.${index}` } = options
  const netns = await freshNetns(t)
  const dataDir = mkdtempSync(join(tmpdir(), 'agent-'))
  t.after(async () => {
    await cleanupNetwork({ dataDir, netns })
    rmSync(dataDir, { recursive: true })
  })
  await using rt = await openRtnetlink({ netns })
  const fd = openSync(middle ?? (await freshNetns(t)), 'r')
  await rt.run([addVeth({ name: 'eth0', peer: { name: `port${index}`, netnsFd: fd } }), setLink('eth0', { up: true })])
  closeSync(fd)
  await rt.run([addAddress({ link: (await rt.link('eth0'))!.index, address: nodeIP, prefix: 24 })])
  if (middle !== undefined) {
    await using outside = await openRtnetlink({ netns: middle })
    const bridge = await outside.link('br0')
    await outside.run([setLink(`port${index}`, { master: bridge?.index ?? 0, up: true })])
  }
  return { netns, dataDir, nodeName: `node-${index}`, nodeIP, podCIDR: `10.42.${index}.0/24`, log: silent }
}

const openOn = async (t: Scope, options: PodNetworkOptions) => {
  const network = await openPodNetwork({ dnsAddress: '10.43.0.10', ...options })
  t.after(() => network.close())
  return network
}

const asNodes = (nodes: readonly TestNode[]) =>
  nodes.map(
    ({ nodeName, nodeIP, podCIDR }) =>
      ({
        metadata: { name: nodeName },
        spec: { podCIDR },
        status: { addresses: [{ type: 'InternalIP', address: nodeIP }] },
      }) as unknown as Node,
  )

const makeSwitch = async (t: Scope) => {
  const netns = await freshNetns(t)
  await using rt = await openRtnetlink({ netns })
  await rt.run([addBridge({ name: 'br0', up: true })])
  return netns
}

test('a pod reaches its gateway, the DNS address, its node and its neighbours; teardown leaves nothing', {
  skip: needsRoot,
}, async (context) => {
  const t = scoped(context)
  const node = await makeNode(t, 1)
  const network = await openOn(t, node)
  const links = async () => (await inside(node.netns, 'ip', '-o', 'link')).replaceAll(/<.*?>|state \w+/g, '')
  const before = await links()
  const [a, b] = await Promise.all([network.setup(pod('a')), network.setup(pod('b'))])
  assert.deepEqual([network.gateway, a.ips, b.ips], ['10.42.1.1', ['10.42.1.2'], ['10.42.1.3']])
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

test('nodes with a router between them are tunnelled to without being told', { skip: needsRoot }, async (context) => {
  const t = scoped(context)
  const router = await freshNetns(t)
  const nodes = [
    await makeNode(t, 1, { middle: router, nodeIP: '192.168.81.2' }),
    await makeNode(t, 2, { middle: router, nodeIP: '192.168.82.2' }),
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
  const network = await openOn(t, { ...node, podCIDR: '10.42.1.0/30' })
  await using rt = await openRtnetlink({ netns: node.netns })
  await rt.run([addVeth({ name: 'blocker', peer: { name: 'other' } })])
  await rt.run([deleteLink('coracle0')])
  await assert.rejects(network.setup(pod('a')), { name: 'SysError', syscall: 'netlink' })
  assert.deepEqual(readdirSync(join(node.dataDir, 'netns')), [])
  await assert.rejects(network.setup(pod('../a')), { code: 'EINVAL' })
  await network.close()
  const again = await openOn(t, { ...node, podCIDR: '10.42.1.0/30' })
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

test('routes come back when the underlay does', { skip: needsRoot }, async (context) => {
  const t = scoped(context)
  const middle = await makeSwitch(t)
  const nodes = [await makeNode(t, 1, { middle }), await makeNode(t, 2, { middle })] as const
  const network = await openOn(t, nodes[0])
  await network.applyNodes(asNodes(nodes))
  await using rt = await openRtnetlink({ netns: nodes[0].netns })
  await rt.run([setLink('eth0', { up: false })])
  assert.deepEqual(await rt.routes({ protocol: 67 }), [])
  await rt.run([setLink('eth0', { up: true })])
  for (let attempt = 0; attempt < 200 && (await rt.routes({ protocol: 67 })).length === 0; attempt++) await new Promise(setImmediate)
  assert.equal((await rt.routes({ protocol: 67 }))[0]?.via, '192.168.77.2')
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
  await network.applyNodes(asNodes([node, { ...node, nodeName: 'node-2', nodeIP: '192.168.77.2', podCIDR: '10.42.2.0/24' }]))
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
  const network = await openOn(t, { ...node, podCIDR: '10.42.9.0/24', backend: 'host-gw' })
  assert.match(await inside(node.netns, 'ip', '-o', 'addr', 'show', 'coracle0'), /10\.42\.9\.1\/24/)
  assert.doesNotMatch(await inside(node.netns, 'ip', '-o', 'addr'), /10\.42\.1\.1|coracle\.vx/)
  await assert.rejects(openPodNetwork({ ...node, podCIDR: 'fd00::/64' }), { code: 'EINVAL' })
  assert.equal(network.gateway, '10.42.9.1')
})
