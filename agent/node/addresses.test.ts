import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  addAddress,
  addBridge,
  addRoute,
  addVeth,
  deleteAddress,
  type InterfaceAddress,
  type Link,
  openRtnetlink,
  type Route,
  setLink,
} from 'nft-js'
import { freshNetns, needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { systemClock } from '#api/clock.ts'
import { silent } from '#api/log.ts'
import { chooseAddresses, followAddresses } from './addresses.ts'

const link = (index: number, name: string, more: Partial<Link> = {}): Link => ({ index, name, up: true, carrier: true, mtu: 1500, ...more })
const at = (link: number, address: string, more: Partial<InterfaceAddress> = {}): InterfaceAddress => ({
  link,
  address,
  prefix: 24,
  scope: 0,
  ...more,
})
const way = (link: number, via: string, more: Partial<Route> = {}): Route => ({ to: 'default', via, link, ...more })
const links = [
  link(1, 'lo'),
  link(2, 'eth0'),
  link(3, 'wlan0'),
  link(4, 'docker0', { kind: 'bridge' }),
  link(9, 'coracle0', { kind: 'bridge' }),
]
const addresses = [
  at(1, '127.0.0.1', { scope: 254 }),
  at(4, '172.17.0.1'),
  at(2, '192.168.1.5'),
  at(3, '192.168.2.5'),
  at(9, '10.42.0.1'),
  at(2, 'fe80::5', { scope: 253 }),
  at(2, 'fd00::77', { passing: true }),
  at(2, 'fd00::5'),
]
const choose = (
  changes: Partial<Parameters<typeof chooseAddresses>[0]>,
  before: string[] = [],
  families: Parameters<typeof chooseAddresses>[1] = ['IPv4', 'IPv6'],
) => chooseAddresses({ links, addresses, routes: [], ...changes }, families, before).join()

test('a node is known by an address of the link that leads out, or else of the first that is no bridge', () => {
  assert.equal(choose({}), '192.168.1.5,fd00::5')
  assert.equal(choose({}, [], ['IPv6', 'IPv4']), 'fd00::5,192.168.1.5')
  assert.equal(choose({}, [], ['IPv4']), '192.168.1.5')
  const both = [way(3, '192.168.2.1', { metric: 100 }), way(2, '192.168.1.1', { metric: 600 })]
  assert.equal(choose({ routes: both }), '192.168.2.5,fd00::5')
  assert.equal(
    choose({ routes: [way(2, '192.168.1.1', { source: '192.168.1.6' })], addresses: [...addresses, at(2, '192.168.1.6')] }),
    '192.168.1.6,fd00::5',
  )
  const pulled = links.map((one) => (one.index === 3 ? { ...one, carrier: false } : one))
  assert.equal(choose({ routes: both, links: pulled }), '192.168.1.5,fd00::5')
  assert.equal(choose({ links: pulled.map((one) => ({ ...one, carrier: false })) }), '192.168.1.5,fd00::5')
})

test('it keeps the one that it has while there is nothing better, and its last one while there is none', () => {
  const more = [...addresses, at(2, '192.168.1.4'), at(2, 'fd00::4')]
  assert.equal(choose({ addresses: more }, ['192.168.1.4', 'fd00::4']), '192.168.1.4,fd00::4')
  assert.equal(choose({ addresses: [] }, ['192.168.1.4']), '192.168.1.4')
  assert.equal(choose({ addresses: [at(2, 'fd00::77', { passing: true })] }, []), 'fd00::77')
  assert.equal(choose({ addresses: [] }), '')
})

test('a host’s addresses are followed', { skip: needsRoot }, async (t) => {
  const netns = await freshNetns(t)
  await using rt = await openRtnetlink({ netns })
  await rt.run([addVeth({ name: 'eth0', peer: { name: 'far' } }), setLink('far', { up: true }), setLink('eth0', { up: true })])
  const eth0 = (await rt.link('eth0'))!.index
  const stop = new AbortController()
  const following = followAddresses({ families: ['IPv4', 'IPv6'], netns, clock: systemClock, log: silent, signal: stop.signal })
  const first = { link: eth0, address: '192.168.7.2', prefix: 24 }
  await rt.run([addAddress(first)])
  const node = (await following)!
  t.after(() => node.close())
  assert.deepEqual(node.current, ['192.168.7.2'])
  const next = () =>
    new Promise<readonly string[]>((resolve) => {
      const silence = node.on((addresses) => {
        silence()
        resolve(addresses)
      })
    })

  let told = next()
  await rt.run([addAddress({ link: eth0, address: 'fd07::2', prefix: 64 })])
  assert.deepEqual(await told, ['192.168.7.2', 'fd07::2'])
  told = next()
  await rt.run([deleteAddress(first), addAddress({ ...first, address: '192.168.7.9' })])
  assert.deepEqual(await told, ['192.168.7.9', 'fd07::2'])
  assert.deepEqual(node.current, ['192.168.7.9', 'fd07::2'])
  // Another way out: the cable is moved.
  told = next()
  await rt.run([addBridge({ name: 'br0', up: true }), setLink('far', { master: (await rt.link('br0'))?.index ?? 0 })])
  const far = (await rt.link('br0'))!.index
  await rt.run([addAddress({ link: far, address: '192.168.8.2', prefix: 24 }), addRoute({ to: 'default', via: '192.168.8.1', link: far })])
  assert.deepEqual(await told, ['192.168.8.2', 'fd07::2'])
})

test('who ends before there is an address waits no longer', { skip: needsRoot }, async (t) => {
  const stop = new AbortController()
  const following = followAddresses({
    families: ['IPv4'],
    netns: await freshNetns(t),
    clock: systemClock,
    log: silent,
    signal: stop.signal,
  })
  stop.abort()
  assert.equal(await following, undefined)
})
