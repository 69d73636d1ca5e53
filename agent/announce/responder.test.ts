// Against the kernel of a client on the same link: what it asks and what it believes.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { macText, openFrames, openRtnetlink } from 'nft-js'
import { freshNetns, needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { systemClock } from '#api/clock.ts'
import { silent } from '#api/log.ts'
import { arpAnnouncements, arpProbe, parseArp } from './arp.ts'
import { groupOf, ndpProbe, parseNdp, unsolicited } from './ndp.ts'
import { type LinkEnd, openResponder } from './responder.ts'

const exec = promisify(execFile)
const addresses = ['192.0.2.50', '2001:db8::50'] as const
const other = '02:00:00:00:00:99'

const setup = async (t: TestContext) => {
  const [node, client] = await Promise.all([freshNetns(t), freshNetns(t)])
  const inside = async (netns: string, script: string) => (await exec('nsenter', [`--net=${netns}`, 'sh', '-ec', script])).stdout
  await inside(
    node,
    `ip link add eth0 type veth peer name eth0 netns ${client}; ip link set eth0 addrgenmode none
     ip address add 192.0.2.1/24 dev eth0; ip address add 2001:db8::1/64 dev eth0 nodad; ip link set eth0 up`,
  )
  // By itself a kernel believes no second word about an address within a second.
  await inside(
    client,
    'echo 0 >/proc/sys/net/ipv4/neigh/eth0/locktime; echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad; ip link set eth0 addrgenmode none; ip address add fe80::9/64 dev eth0 nodad; ip address add 192.0.2.9/24 dev eth0; ip address add 2001:db8::9/64 dev eth0 nodad; ip link set eth0 up',
  )
  await using rt = await openRtnetlink({ netns: node })
  const { index, address = '' } = (await rt.link('eth0'))!
  const link: LinkEnd = { index, mac: address }
  const rivals: string[] = []
  const rival = Promise.withResolvers<void>()
  const responder = openResponder({
    netns: node,
    clock: systemClock,
    log: silent,
    onRival(about, mac) {
      rivals.push(`${about} ${mac}`)
      if (rivals.length === 2) rival.resolve()
    },
  })
  t.after(() => responder.close())
  const believed = async (about: string) => /lladdr (\S+)/.exec(await inside(client, `ip neigh show ${about}`))?.[1]
  /** Where the client believes that an address is, once it has asked; undefined if there is no answer. */
  const asked = async (about: string, patience = 3_000) => {
    await inside(client, `ip neigh flush to ${about}; ip neigh replace ${about} dev eth0 use`)
    const until = performance.now() + patience
    for (let mac: string | undefined; performance.now() < until; ) if ((mac = await believed(about)) !== undefined) return mac
    return undefined
  }
  return { node, client, inside, link, responder, asked, believed, rivals, rival: rival.promise }
}

test('the link is told and answered, and no longer once it stops; the kernel holds nothing of it', { skip: needsRoot }, async (t) => {
  const { node, client, inside, link, responder, asked, believed } = await setup(t)
  const state = () => inside(node, 'ip -o address; ip neigh show proxy')
  const before = await state()
  for (const address of addresses) {
    await inside(client, `ip neigh replace ${address} lladdr ${other} nud stale dev eth0`)
    await responder.start(address, link)
    const until = performance.now() + 5_000
    while ((await believed(address)) !== link.mac)
      assert(performance.now() < until, `${address} is still believed at ${await believed(address)}`)
    assert.equal(await asked(address), link.mac)
    await responder.start(address, link)
  }
  assert.match(await inside(node, 'ip maddr show dev eth0'), /ff02::1:ff00:50/)
  assert.equal(await state(), before)
  for (const address of addresses) responder.stop(address)
  assert.deepEqual(await Promise.all(addresses.map((address) => asked(address, 150))), [undefined, undefined])
  assert.doesNotMatch(await inside(node, 'ip maddr show dev eth0'), /ff02::1:ff00:50/)
})

test('a rival is heard; a link that went down is answered on again when it is back', { skip: needsRoot }, async (t) => {
  const { node, client, inside, link, responder, asked, rivals, rival } = await setup(t)
  for (const address of addresses) await responder.start(address, link)
  await using there = await openRtnetlink({ netns: client })
  const far = (await there.link('eth0'))!.index
  const options = { netns: client, link: far, onFrame() {}, onEnd() {} }
  const arp = await openFrames({ ...options, protocol: 0x0806 })
  const ndp = await openFrames({ ...options, protocol: 0x86dd })
  t.after(() => {
    arp.close()
    ndp.close()
  })
  arp.send(arpAnnouncements(addresses[0], other)[0]!)
  ndp.send(unsolicited(addresses[1], other))
  await rival
  assert.deepEqual(
    rivals.sort(),
    addresses.map((address) => `${address} ${other}`),
  )

  await inside(node, 'ip link set eth0 down; ip link set eth0 up; ip address replace 2001:db8::1/64 dev eth0 nodad')
  await new Promise((resolve) => setTimeout(resolve, 20))
  for (const address of addresses) await responder.start(address, link)
  for (const address of addresses) assert.equal(await asked(address), link.mac)
})

test('an address that a host of the link has is found to be taken', { skip: needsRoot }, async (t) => {
  const { client, inside, link, responder } = await setup(t)
  const far = /ether (\S+)/.exec(await inside(client, 'ip link show eth0'))?.[1]
  assert.deepEqual(await Promise.all(['192.0.2.9', '2001:db8::9', ...addresses].map((address) => responder.probe(address, link))), [
    far,
    far,
    undefined,
    undefined,
  ])
  assert.equal(await inside(client, 'ip neigh show 192.0.2.1'), '', 'who asks does not tell of itself')
  for (const address of addresses) await responder.start(address, link)
  assert.equal(await responder.probe('192.0.2.9', link), far)
})

test('messages have the bytes of their RFCs, and what is none is nothing', () => {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
  const mac = '02:00:00:00:00:01'
  const [request, reply] = arpAnnouncements('192.0.2.50', mac)
  assert.equal(
    hex(request!),
    `ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 c0000232 000000000000 c0000232`.replaceAll(' ', ''),
  )
  assert.equal(
    hex(reply!),
    `ffffffffffff 020000000001 0806 0001 0800 06 04 0002 020000000001 c0000232 ffffffffffff c0000232`.replaceAll(' ', ''),
  )
  assert.deepEqual(parseArp(request!), { operation: 'request', senderMac: mac, senderAddress: '192.0.2.50', targetAddress: '192.0.2.50' })
  const na = unsolicited('2001:db8::50', mac)
  assert.equal(
    hex(na),
    `333300000001 020000000001 86dd 60000000 0020 3a ff 20010db8000000000000000000000050 ff020000000000000000000000000001
     88 00 f88c 20000000 20010db8000000000000000000000050 02 01 020000000001`.replaceAll(/\s/g, ''),
  )
  assert.deepEqual(parseNdp(na), { kind: 'advertisement', mac, target: '2001:db8::50' })
  assert.equal(
    hex(arpProbe('192.0.2.50', mac)),
    `ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 00000000 000000000000 c0000232`.replaceAll(' ', ''),
  )
  const ns = ndpProbe('2001:db8::12:3456', mac)
  assert.match(hex(ns), /^3333ff123456020000000001 ?86dd6000000000183aff0{32}ff0200000000000000000001ff1234568700/)
  assert.deepEqual(parseNdp(ns), { kind: 'solicitation', mac, source: '::', target: '2001:db8::12:3456' })
  assert.equal(groupOf('2001:db8::12:3456'), 'ff02::1:ff12:3456')
  for (const frame of [request!, na])
    for (let cut = 0; cut < frame.length; cut++) for (const parse of [parseArp, parseNdp]) parse(frame.subarray(0, cut))
  const routed = na.slice()
  routed[21] = 64
  assert.equal(parseNdp(routed), undefined)
  assert.equal(parseArp(na), undefined)
  assert.equal(macText(na.subarray(0, 6)), '33:33:00:00:00:01')
})
