import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { AF_INET, AF_INET6 } from '../netlink/address.ts'
import type { Command } from '../netlink/exchange.ts'
import { MessageWriter } from '../netlink/message.ts'
import { freshNetns, needsRoot } from '../testing/fresh-netns.ts'
import { addAddress, deleteAddress } from './address.ts'
import { addBridge, addMacvlan, addVeth, addVxlan, deleteLink, setLink } from './link.ts'
import { deleteForwardingEntry, deleteNeighbour, replaceForwardingEntry, replaceNeighbour } from './neighbour.ts'
import { addRoute, deleteRoute, replaceRoute } from './route.ts'
import { openRtnetlink } from './rtnetlink.ts'
import { addRule, deleteRule, type Rule } from './rule.ts'
import { watchNetwork } from './watch.ts'

const golden = (command: Command, text: string) => {
  const w = new MessageWriter()
  command.write(w)
  assert.equal(Buffer.from(w.bytes()).toString('hex'), text.replaceAll(/#.*|\s/g, ''))
}
const open = async (t: TestContext, netns: string) => {
  const rtnetlink = await openRtnetlink({ netns })
  t.after(() => rtnetlink.close())
  return rtnetlink
}
const ip = (netns: string, ...args: string[]) => execFileSync('nsenter', [`--net=${netns}`, ...args], { encoding: 'utf8' })

test('a veth pair is one message', () => {
  golden(
    addVeth({ name: 'a', mtu: 1450, master: 7, peer: { name: 'b', address: '0a:58:0a:2a:01:05', netnsFd: 9 } }),
    `00 00 0000 00000000 00000000 00000000  # ifinfomsg
     0600 0300 61 00 0000
     0800 0400 aa050000
     0800 0a00 07000000
     4400 1280                              # IFLA_LINKINFO
       0900 0100 76657468 00 000000         # veth
       3400 0280                            # IFLA_INFO_DATA
         3000 0180                          # VETH_INFO_PEER
           00 00 0000 00000000 00000000 00000000
           0600 0300 62 00 0000
           0a00 0100 0a580a2a0105 0000
           0800 1c00 09000000`,
  )
})

test('routes and addresses have the bytes of linux/rtnetlink.h', () => {
  golden(
    addRoute({ to: '10.42.2.0/24', via: '10.42.2.1', link: 5, onlink: true, source: '10.42.1.1', protocol: 67 }),
    `02 18 00 00 fe 43 00 01 04000000
     0800 0100 0a2a0200
     0800 0500 0a2a0201
     0800 0400 05000000
     0800 0700 0a2a0101`,
  )
  golden(addRoute({ to: '10.42.1.1', link: 2 }), '02 20 00 00 fe 03 fd 01 00000000 0800 0100 0a2a0101 0800 0400 02000000')
  golden(addAddress({ link: 3, address: '10.42.1.1', prefix: 24 }), '02 18 00 00 03000000 0800 0200 0a2a0101 0800 0100 0a2a0101')
  golden(
    replaceForwardingEntry({ link: 4, mac: '0a:58:c0:a8:01:02', to: '192.168.1.2' }),
    '07000000 04000000 8000 02 00 0800 0100 c0a80102 0a00 0200 0a58c0a80102 0000',
  )
})

test('links are made, changed, found and deleted', { skip: needsRoot }, async (t) => {
  const [here, there] = [await freshNetns(t), await freshNetns(t)]
  const [rt, far] = [await open(t, here), await open(t, there)]
  const fd = openSync(there, 'r')
  t.after(() => closeSync(fd))
  await rt.run([addBridge({ name: 'br0', address: '0a:58:0a:2a:01:01', up: true })])
  const bridge = await rt.link('br0')
  const expected = { index: 0, name: 'br0', up: true, carrier: false, kind: 'bridge', mtu: 1500, address: '0a:58:0a:2a:01:01' }
  assert.deepEqual({ ...bridge, index: 0 }, expected)

  await rt.run([addVeth({ name: 'v0', mtu: 1400, master: bridge!.index, peer: { name: 'eth0', netnsFd: fd, mtu: 1400 } })])
  await rt.run([setLink('v0', { alias: 'pod', ipv6LinkLocal: false, up: true })])
  assert.equal((await rt.link('v0'))?.carrier, false)
  await far.run([setLink('eth0', { up: true })])
  assert.equal((await rt.link('v0'))?.carrier, true)
  const v0 = await rt.link('v0')
  const eth0 = await far.link('eth0')
  assert.deepEqual([v0?.kind, v0?.mtu, v0?.up, v0?.master, v0?.alias, v0?.peer], ['veth', 1400, true, bridge?.index, 'pod', eth0?.index])
  assert.deepEqual([eth0?.up, eth0?.mtu], [true, 1400])

  const vxlan = { id: 1, port: 8472, local: '192.0.2.1', learning: false }
  await rt.run([addVxlan({ name: 'coracle.vx', vxlan, mtu: 1450, address: '0a:58:c0:00:02:01' })])
  assert.deepEqual((await rt.link('coracle.vx'))?.vxlan, vxlan)
  assert.deepEqual((await rt.links()).map((link) => link.name).sort(), ['br0', 'coracle.vx', 'lo', 'v0'])

  await rt.run([deleteLink('v0')])
  assert.equal(await rt.link('v0'), undefined)
  assert.equal(await far.link('eth0'), undefined)
  await rt.run([deleteLink('v0')], { tolerate: ['ENODEV'] })
})

test('the first command that fails is named with the kernel’s own words, and the rest was tried', { skip: needsRoot }, async (t) => {
  const rt = await open(t, await freshNetns(t))
  const lo = (await rt.link('lo'))!.index
  await assert.rejects(
    rt.run([
      addAddress({ link: lo, address: '10.0.0.1', prefix: 32 }),
      addRoute({ to: '10.1.0.0/16', via: '10.99.0.1' }),
      addAddress({ link: lo, address: '10.0.0.2', prefix: 32 }),
    ]),
    {
      name: 'SysError',
      code: 'ENETUNREACH',
      syscall: 'netlink',
      detail: 'add route 10.1.0.0/16 via 10.99.0.1: Nexthop has invalid gateway',
    },
  )
  assert.deepEqual((await rt.addresses(lo)).map((address) => address.address).sort(), ['10.0.0.1', '10.0.0.2', '127.0.0.1', '::1'])
  await assert.rejects(rt.run([addAddress({ link: lo, address: '10.0.0.1', prefix: 32 })]), { code: 'EEXIST' })
  await rt.run([deleteAddress({ link: lo, address: '10.0.0.1', prefix: 32 })])
  assert.equal((await rt.addresses(lo)).length, 3)
})

test('routes, neighbours and forwarding entries read back as they were given', { skip: needsRoot }, async (t) => {
  const netns = await freshNetns(t)
  const rt = await open(t, netns)
  await rt.run([addVxlan({ name: 'vx', up: true, address: '0a:58:c0:00:02:01', vxlan: { id: 1, port: 8472, learning: false } })])
  const link = (await rt.link('vx'))!.index
  const route = { to: '10.42.2.0/24', via: '10.42.2.1', link, onlink: true, source: '10.42.1.1', protocol: 67, table: 254, mtu: 1400 }
  const mac = '0a:58:c0:00:02:02'
  await rt.run([
    addAddress({ link, address: '10.42.1.1', prefix: 32 }),
    addAddress({ link, address: 'fd00::1', prefix: 64 }),
    replaceNeighbour({ link, address: '10.42.2.1', mac }),
    replaceForwardingEntry({ link, mac, to: '192.0.2.2' }),
    addRoute(route),
  ])
  assert.deepEqual(await rt.routes({ protocol: 67 }), [route])
  assert.deepEqual(await rt.neighbours(link), [{ link, address: '10.42.2.1', mac, permanent: true }])
  assert.deepEqual(await rt.forwardingEntries(link), [{ link, mac, to: '192.0.2.2', permanent: true }])
  assert.match(ip(netns, 'ip', 'route'), /10\.42\.2\.0\/24 via 10\.42\.2\.1 dev vx proto 67 src 10\.42\.1\.1 onlink mtu 1400/)
  assert.match(ip(netns, 'bridge', 'fdb', 'show', 'dev', 'vx'), /0a:58:c0:00:02:02 dst 192\.0\.2\.2 self permanent/)

  await rt.run([
    replaceRoute({ ...route, mtu: undefined }),
    deleteNeighbour({ link, address: '10.42.2.1' }),
    deleteForwardingEntry({ link, mac, to: '192.0.2.2' }),
  ])
  const [replaced] = await rt.routes({ protocol: 67 })
  assert.equal(replaced?.mtu, undefined)
  await rt.run([deleteRoute(replaced!)])
  assert.deepEqual([await rt.routes({ protocol: 67 }), await rt.neighbours(link), await rt.forwardingEntries(link)], [[], [], []])
})

test('IPv6, blackholes and macvlans read back too', { skip: needsRoot }, async (t) => {
  const netns = await freshNetns(t)
  const rt = await open(t, netns)
  await rt.run([addVeth({ name: 'v0', peer: { name: 'v1' } }), setLink('v0', { up: true }), setLink('v1', { up: true })])
  const link = (await rt.link('v0'))!.index
  await rt.run([addMacvlan({ name: 'mv', parent: link, mode: 'bridge', address: '0a:00:00:00:00:07' })])
  const macvlan = await rt.link('mv')
  assert.deepEqual([macvlan?.kind, macvlan?.macvlan, macvlan?.peer, macvlan?.address], ['macvlan', 'bridge', link, '0a:00:00:00:00:07'])
  assert.match(ip(netns, 'ip', '-d', 'link', 'show', 'mv'), /mv@v0.* macvlan mode bridge/s)

  const mac = '0a:00:00:00:00:09'
  await rt.run([
    addAddress({ link, address: 'fd00::1', prefix: 64 }),
    addRoute({ to: 'fd01::/64', via: 'fd00::2', protocol: 67 }),
    addRoute({ to: 'default', link, family: AF_INET6, protocol: 67 }),
    addRoute({ to: 'fd02::/64', kind: 'unreachable', protocol: 67, metric: 7 }),
    addRoute({ to: '10.66.0.0/16', kind: 'blackhole', protocol: 67 }),
    replaceNeighbour({ link, address: 'fd00::2', mac }),
  ])
  assert.match(ip(netns, 'ip', '-6', 'route', 'show', 'proto', '67'), /unreachable fd02::\/64 dev lo metric 7/)
  const v6 = await rt.routes({ family: AF_INET6, protocol: 67 })
  assert.deepEqual(
    v6.map(({ to, via, kind, family }) => ({ to, via, kind, family })).toSorted((a, b) => a.to.localeCompare(b.to)),
    [
      { to: 'default', via: undefined, kind: undefined, family: AF_INET6 },
      { to: 'fd01::/64', via: 'fd00::2', kind: undefined, family: undefined },
      { to: 'fd02::/64', via: undefined, kind: 'unreachable', family: undefined },
    ],
  )
  assert.deepEqual(await rt.routes({ protocol: 67 }), [{ to: '10.66.0.0/16', kind: 'blackhole', protocol: 67, table: 254 }])
  assert.deepEqual(
    (await rt.neighbours(link, AF_INET6)).filter(({ permanent }) => permanent),
    [{ link, address: 'fd00::2', mac, permanent: true }],
  )
  await rt.run([...v6, ...(await rt.routes({ protocol: 67 }))].map(deleteRoute))
  assert.deepEqual([await rt.routes({ family: AF_INET6, protocol: 67 }), await rt.routes({ protocol: 67 })], [[], []])
})

test('rules read back as they were given, and ip-rule agrees', { skip: needsRoot }, async (t) => {
  const netns = await freshNetns(t)
  const rt = await open(t, netns)
  const rules: Rule[] = [
    { family: AF_INET, priority: 100, from: '10.0.0.0/8', to: '192.0.2.1/32', iif: 'lo', table: 1000 },
    { family: AF_INET, priority: 101, mark: { value: 0x10, mask: 0xf0 }, inverted: true, table: 99 },
    { family: AF_INET, priority: 102, oif: 'lo', action: 'unreachable' },
  ]
  const six: Rule = { family: AF_INET6, priority: 103, from: 'fd00::/64', table: 254 }
  await rt.run([...rules, six].map(addRule))
  const ours = async () => (await rt.rules()).filter(({ priority }) => priority > 0 && priority < 1000)
  assert.deepEqual(await ours(), rules)
  assert.deepEqual(
    (await rt.rules(AF_INET6)).filter(({ priority }) => priority === 103),
    [six],
  )
  assert.match(
    ip(netns, 'ip', 'rule'),
    /100:\tfrom 10\.0\.0\.0\/8 to 192\.0\.2\.1 iif lo lookup 1000\s+101:\tnot from all fwmark 0x10\/0xf0 lookup 99\s+102:\tfrom all oif lo unreachable/,
  )
  await assert.rejects(rt.run([addRule(rules[0]!)]), {
    code: 'EEXIST',
    detail: /^add rule 100: from 10\.0\.0\.0\/8 to 192\.0\.2\.1\/32 table 1000/,
  })
  await assert.rejects(rt.run([addRule({ family: AF_INET6, priority: 9, from: '10.0.0.0/8' })]), { code: 'EAFNOSUPPORT' })
  await rt.run([...rules, six].map(deleteRule))
  assert.deepEqual(await ours(), [])
  await assert.rejects(rt.run([deleteRule(six)]), { code: 'ENOENT' })
})

test('a batch larger than one datagram should be is carried out whole', { skip: needsRoot }, async (t) => {
  const rt = await open(t, await freshNetns(t))
  const lo = (await rt.link('lo'))!.index
  const routes = Array.from({ length: 2000 }, (_, i) => ({ to: `10.9.${i >> 8}.${i & 255}/32`, link: lo, protocol: 67 }))
  await rt.run(routes.map(addRoute))
  assert.equal((await rt.routes({ protocol: 67 })).length, 2000)
})

test('changes are told as they happen, until the signal', { skip: needsRoot }, async (t) => {
  const netns = await freshNetns(t)
  const rt = await open(t, netns)
  const controller = new AbortController()
  const kinds = ['link', 'address', 'route', 'rule', 'neighbour'] as const
  const watch = await watchNetwork({ netns, kinds, signal: controller.signal })
  const vxlan = { id: 1, port: 8472, learning: false }
  await rt.run([addVxlan({ name: 'vx9', vxlan, up: true })])
  const link = (await rt.link('vx9'))!.index
  const [mac, rule] = ['0a:00:00:00:00:09', { family: AF_INET, priority: 77, table: 7 } as const]
  await rt.run([
    addAddress({ link, address: '10.7.0.1', prefix: 24 }),
    addRoute({ to: '10.8.0.0/16', via: '10.7.0.2' }),
    replaceNeighbour({ link, address: '10.7.0.2', mac }),
    replaceForwardingEntry({ link, mac, to: '192.0.2.2' }),
    addRule(rule),
    deleteRule(rule),
    deleteLink('vx9'),
  ])
  const seen = new Set<string>()
  const note = (gone: boolean, what: string) => seen.add(`${gone ? '-' : '+'} ${what}`)
  for await (const change of watch.changes()) {
    if (change.kind === 'missed') assert.fail('nothing was missed')
    const { gone } = change
    if (change.kind === 'link' && change.link.name === 'vx9') note(gone, 'link')
    if (change.kind === 'address' && change.address.link === link) note(gone, change.address.address)
    if (change.kind === 'route') note(gone, `route ${change.route.to}`)
    if (change.kind === 'rule') note(gone, `rule ${change.rule.priority}`)
    if (change.kind === 'neighbour') note(gone, `neighbour ${change.neighbour.address}`)
    if (change.kind === 'forwarding entry' && change.entry.mac === mac) note(gone, `entry ${change.entry.to}`)
    if (change.kind === 'link' && gone) controller.abort()
  }
  for (const what of ['link', '10.7.0.1', 'route 10.8.0.0/16', 'rule 77', 'neighbour 10.7.0.2', 'entry 192.0.2.2'])
    assert(seen.has(`+ ${what}`), `${what} came: ${[...seen].join('; ')}`)
  for (const what of ['link', '10.7.0.1', 'rule 77', 'entry 192.0.2.2'])
    assert(seen.has(`- ${what}`), `${what} went: ${[...seen].join('; ')}`)
})
