import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { freshNetns, needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { fakeClock } from '#api/clock.fake.ts'
import { openPlaces } from './places.ts'

test('an address is announced on the link of its network, or on that of the node, and only while it has a cable', {
  skip: needsRoot,
}, async (t) => {
  const netns = await freshNetns(t)
  const inside = async (script: string) => (await promisify(execFile)('nsenter', [`--net=${netns}`, 'sh', '-ec', script])).stdout
  await inside(
    `for link in node lan wide ours; do ip link add $link type veth peer name $link-far; ip link set $link up; ip link set $link-far up; done
     ip address add 192.0.2.1/24 dev node; ip address add 198.51.100.1/24 dev lan; ip address add 198.51.0.1/16 dev wide
     ip address add 203.0.113.1/24 dev ours; ip address add 2001:db8::1/64 dev lan nodad`,
  )
  const clock = fakeClock()
  const places = await openPlaces({ netns, addresses: { current: ['192.0.2.1'] }, clock, skip: (name) => name === 'ours' })
  t.after(() => places.close())
  const nameOf = async (address: string) => {
    await clock.advance(2_000)
    const place = await places.find(address)
    return place && /^\d+: (\w+)@/m.exec(await inside(`ip -o link | grep '^${place.index}:.*${place.mac}'`))?.[1]
  }
  assert.equal(await nameOf('198.51.100.50'), 'lan')
  assert.equal(await nameOf('198.51.7.50'), 'wide')
  assert.equal(await nameOf('2001:db8::50'), 'lan')
  assert.equal(await nameOf('203.0.113.50'), 'node')
  assert.equal(await nameOf('10.9.9.9'), 'node')
  await inside('ip link set lan-far down')
  assert.equal(await nameOf('2001:db8::50'), undefined)
  assert.equal(await nameOf('198.51.100.50'), undefined)
  assert.equal(await nameOf('198.51.7.50'), 'wide')
  // Two links into one network: the one that has a cable.
  await inside('ip address add 198.51.100.2/24 dev node')
  assert.equal(await nameOf('198.51.100.50'), 'node')
  await inside('ip link set node-far down')
  assert.equal(await nameOf('10.9.9.9'), undefined)
})
