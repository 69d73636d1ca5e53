// Random pods come and go while the agent crashes between any two steps. After each crash the next agent
// finds what there is: no address is ever two pods', and none is lost.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCidrs } from '#api/cidr.ts'
import { AddressPools } from './pool.ts'
import type { Found, SandboxKernel } from './sandbox.ts'
import { Sandboxes } from './sandboxes.ts'

class Crash extends Error {}
class Failure extends Error {}

/** What the kernel and the disk hold: they outlive the agent. */
type Remains = Map<string, { pinned: boolean; addresses: string[]; routed: boolean }>

/** Every step may be the last: `step` throws, and what was done so far stays. */
const fakeKernel = (remains: Remains, step: () => void): SandboxKernel => ({
  async survey() {
    const found = new Map<string, Found>()
    for (const [uid, { pinned, addresses, routed }] of remains)
      found.set(uid, pinned ? { addresses: [...addresses], whole: routed } : { addresses: [], whole: false })
    return found
  },
  async create(uid) {
    step()
    const there = remains.get(uid)
    if (!there?.pinned) remains.set(uid, { pinned: true, addresses: [], routed: false })
    step()
  },
  async connect(uid, addresses) {
    const sandbox = remains.get(uid)
    assert.ok(sandbox?.pinned, 'namespaces come first')
    Object.assign(sandbox, { addresses: [], routed: false })
    for (const address of addresses) {
      step()
      sandbox.addresses.push(address)
    }
    step()
    sandbox.routed = true
    step()
  },
  async resize() {},
  async release(uid) {
    step()
    const there = remains.get(uid)
    if (there) Object.assign(there, { pinned: false, addresses: [], routed: false })
    step()
    remains.delete(uid)
    step()
  },
})

/** A generator of numbers in [0, 1) that is the same in every run (Park and Miller). */
const randomFrom = (seed: number) => {
  let state = seed
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647
}

const ranges = '10.42.1.0/28,fd42::/124'
/** Of each family: 16 addresses without the range's own, the gateway's and the IPv4 broadcast. */
const capacity = 13

test('no crash and no failure, at whichever step, gives an address to two pods or loses one', async () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const random = randomFrom(seed)
    const remains: Remains = new Map()
    let steps = Number.POSITIVE_INFINITY
    let error: new () => Error = Crash
    const kernel = fakeKernel(remains, () => {
      if (--steps < 0) throw new error()
    })
    const start = async () => {
      steps = Number.POSITIVE_INFINITY
      const sandboxes = new Sandboxes({ kernel, pools: new AddressPools(parseCidrs(ranges)!) })
      await sandboxes.adopt()
      return sandboxes
    }
    let agent = await start()
    /** What a pod's containers were told; it must not change while they may run. */
    const told = new Map<string, string>()
    for (let turn = 0; turn < 60; turn += 1) {
      const uid = `pod-${Math.floor(random() * 16)}`
      steps = random() < 0.4 ? Math.floor(random() * 7) : Number.POSITIVE_INFINITY
      error = random() < 0.7 ? Crash : Failure
      try {
        if (random() < 0.6) {
          const addresses = (await agent.setup({ uid, hostname: uid })).join()
          assert.equal(told.get(uid) ?? addresses, addresses)
          told.set(uid, addresses)
        } else {
          told.delete(uid)
          await agent.teardown(uid)
        }
      } catch (thrown) {
        if (thrown instanceof Crash) agent = await start()
        else if (!(thrown instanceof Failure)) assert.equal((thrown as NodeJS.ErrnoException).code, 'EADDRNOTAVAIL')
      }
      steps = Number.POSITIVE_INFINITY
      const held = [...remains.values()].flatMap(({ addresses }) => addresses)
      assert.equal(new Set(held).size, held.length, `seed ${seed}, turn ${turn}: ${held.join(' ')}`)
      for (const [uid, addresses] of told) assert.equal(remains.get(uid)?.addresses.join(), addresses, `seed ${seed}, turn ${turn}`)
    }
    // As many pods as there are addresses can be made once all are gone, in the agent that saw it all.
    for (const uid of [...agent.list(), ...remains.keys()]) await agent.teardown(uid)
    assert.deepEqual([agent.list(), remains.size], [[], 0])
    for (let i = 0; i < capacity; i += 1) await agent.setup({ uid: `last-${i}`, hostname: '' })
    await assert.rejects(agent.setup({ uid: 'one-more', hostname: '' }), { code: 'EADDRNOTAVAIL' })
  }
})

test('changes of one pod wait for each other, those of others do not', async () => {
  const remains: Remains = new Map()
  const agent = new Sandboxes({ kernel: fakeKernel(remains, () => {}), pools: new AddressPools(parseCidrs(ranges)!) })
  const all = await Promise.all([
    agent.setup({ uid: 'a', hostname: '' }),
    agent.teardown('a'),
    agent.setup({ uid: 'a', hostname: '' }),
    agent.setup({ uid: 'b', hostname: '' }),
  ])
  assert.deepEqual([agent.list().sort(), remains.get('a')?.addresses], [['a', 'b'], all[2]])
  assert.notDeepEqual(all[2], all[3])
})
