import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client } from '#api/client/client.ts'
import { fakeClient } from '#api/client/fake.ts'
import { fakeClock, settle } from '#api/clock.fake.ts'
import { StatusError } from '#api/errors.ts'
import { informers } from '#api/informer/informers.ts'
import { Lease } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import { announcements, decide, Elections, leaseName } from './elections.ts'

const address = '192.0.2.50'
const ref = { namespace: 'kube-node-lease', name: leaseName(address) }

/** Nodes that stand for one address; `log` is what happened to whom. */
async function setup(...names: string[]) {
  const clock = fakeClock()
  const client = fakeClient({ clock })
  const log: string[] = []
  const nodes = names.map((nodeName) => {
    const state = { cut: false, reachable: true }
    const through = new Proxy(client, {
      get(target, key: keyof Client) {
        const method = Reflect.get(target, key)
        if (typeof method !== 'function') return method
        return (...args: unknown[]) => {
          if (state.cut) throw new StatusError('ServiceUnavailable', 'cut off')
          return Reflect.apply(method, target, args)
        }
      },
    }) as Client
    const elections = new Elections({
      client: through,
      nodeName,
      clock,
      log: silent,
      async reachable(_, fresh) {
        if (fresh) log.push(`${nodeName} looks whether it is free`)
        return state.reachable
      },
      async onHeld(_, first) {
        if (first) log.push(`${nodeName} begins`)
        return state.reachable
      },
      onLost: () => log.push(`${nodeName} ends`),
    })
    const watched = informers({ client, log: silent, clock, random: () => 0.5 })
    const leases = watched.of(Lease, announcements)
    const see = (lease: Parameters<Elections['leaseSeen']>[0], gone = false) => void (state.cut || elections.leaseSeen(lease, gone))
    leases.on({ add: see, update: (lease) => see(lease), delete: (lease) => see(lease, true) })
    return { nodeName, elections, state, watched, stand: (rank?: number) => elections.stand(new Map([[address, rank]])) }
  })
  const pass = async (ms: number) => {
    for (let at = 0; at < ms; at += 50) {
      await clock.advance(50)
      await settle()
    }
  }
  await settle(20)
  return {
    client,
    clock,
    log,
    nodes,
    pass,
    holder: async () => (await client.find(Lease, ref))?.spec?.holderIdentity,
    holders: () => nodes.filter(({ elections }) => elections.holds(address)).map(({ nodeName }) => nodeName),
    async [Symbol.asyncDispose]() {
      for (const { elections, watched } of nodes) {
        await elections.close()
        await watched.close()
      }
    },
  }
}

test('one holds the address; when it is gone the next takes over within seconds', async () => {
  await using cluster = await setup('a', 'b', 'c')
  const [a, b, c] = cluster.nodes
  for (const [rank, node] of [b, a, c].entries()) node!.stand(rank)
  await cluster.pass(1_000)
  assert.deepEqual(cluster.holders(), ['b'])
  assert.equal(await cluster.holder(), 'b')
  await cluster.pass(60_000)
  assert.deepEqual(cluster.log.splice(0), ['b looks whether it is free', 'b begins'])

  // Killed: its word stays, and nobody renews it.
  b!.state.cut = true
  await cluster.pass(3_000)
  assert.equal(await cluster.holder(), 'b')
  await cluster.pass(3_000)
  assert.equal(await cluster.holder(), 'a')
  assert.deepEqual(cluster.log, ['a begins'])
  // Back again: it learns that it has lost, and leaves it at that.
  b!.state.cut = false
  await cluster.pass(3_000)
  assert.deepEqual(cluster.holders(), ['a'])
  assert.deepEqual(cluster.log, ['a begins', 'b ends'])
})

test('who stops, or may not any more, hands over at once', async () => {
  await using cluster = await setup('a', 'b')
  const [a, b] = cluster.nodes
  a!.stand(0)
  b!.stand(1)
  await cluster.pass(500)
  a!.stand(undefined)
  await cluster.pass(500)
  assert.deepEqual(cluster.holders(), ['b'])
  a!.stand(0)
  await cluster.pass(10_000)
  assert.deepEqual(cluster.holders(), ['b'], 'it does not move back by itself')
  await b!.elections.close()
  await cluster.pass(500)
  assert.deepEqual(cluster.holders(), ['a'])
  a!.state.reachable = false
  await cluster.pass(2_000)
  assert.deepEqual(cluster.holders(), [])
  assert.equal(await cluster.holder(), '')
  a!.state.reachable = true
  await cluster.pass(3_000)
  assert.deepEqual(cluster.holders(), ['a'])
  a!.elections.stand(new Map())
  await cluster.pass(100)
  assert.equal(await cluster.holder(), undefined, 'nobody needs the lease')
  assert.equal(cluster.log.at(-1), 'a ends')
})

test('while the API server is away, and when it comes back without its leases, the holder goes on', async () => {
  await using cluster = await setup('a', 'b')
  const [a, b] = cluster.nodes
  a!.stand(0)
  b!.stand(1)
  await cluster.pass(500)
  for (const { state } of cluster.nodes) state.cut = true
  await cluster.pass(60_000)
  assert.deepEqual(cluster.holders(), ['a'])
  await cluster.client.delete(Lease, ref)
  for (const { state } of cluster.nodes) state.cut = false
  await cluster.pass(10_000)
  assert.equal(await cluster.holder(), 'a')
  assert.deepEqual(cluster.log, ['a looks whether it is free', 'a begins'])
})

test('a rival is told off while the lease is fresh, and given way to when it is not', async () => {
  await using cluster = await setup('a', 'b')
  const [a, b] = cluster.nodes
  a!.stand(0)
  b!.stand(1)
  await cluster.pass(500)
  assert.equal(a!.elections.rival(address), true)
  assert.equal(b!.elections.rival(address), false)
  a!.state.cut = true
  await cluster.pass(6_000)
  assert.deepEqual(cluster.holders(), ['a', 'b'])
  assert.equal(a!.elections.rival(address), false)
  assert.deepEqual(cluster.holders(), ['b'])
})

test('an agent that was restarted goes on at once', async () => {
  await using cluster = await setup('a', 'b')
  const spec = { holderIdentity: 'b', leaseDurationSeconds: 4 }
  await cluster.client.create(Lease, { metadata: { ...ref, labels: { 'coracle/load-balancer': 'address' } }, spec })
  await cluster.pass(100)
  cluster.nodes[0]!.stand(0)
  cluster.nodes[1]!.stand(1)
  await cluster.pass(500)
  assert.deepEqual(cluster.log, ['b begins'])
})

test('what is to be done, and when', () => {
  const text = (standing: Partial<Parameters<typeof decide>[0]>, now: number) =>
    Object.values(decide({ renewedAt: undefined, seen: { holder: '', at: 0 }, rank: 0, ...standing }, 'me', now)).join(' ')
  assert.equal(text({}, 0), 'acquire')
  assert.equal(text({ rank: 2 }, 100), 'wait 200')
  assert.equal(text({ rank: 2 }, 300), 'acquire')
  assert.equal(text({ seen: { holder: 'other', at: 1_000 }, rank: 1 }, 2_000), 'wait 3150')
  assert.equal(text({ seen: { holder: 'other', at: 1_000 }, rank: 1 }, 5_150), 'acquire')
  assert.equal(text({ seen: { holder: 'other', at: 1_000 }, rank: undefined }, 9_999), 'wait ')
  assert.equal(text({ seen: { holder: 'me', at: 1_000 }, rank: 5 }, 1_000), 'acquire')
  assert.equal(text({ renewedAt: 0 }, 1_000), 'wait 500')
  assert.equal(text({ renewedAt: 0 }, 1_500), 'renew')
  assert.equal(text({ renewedAt: 0, rank: undefined }, 100), 'release')
})
