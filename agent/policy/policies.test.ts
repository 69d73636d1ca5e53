import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { fakeNft, NftError } from 'nft-js'
import { fakeClient } from '#api/client/fake.ts'
import { fakeClock } from '#api/clock.fake.ts'
import { informers } from '#api/informer/informers.ts'
import { Namespace, NetworkPolicy, Pod } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import { openRuleset } from '../ruleset/ruleset.ts'
import { app, namespace, pod, policy } from './fixtures.ts'
import { followPolicies } from './policies.ts'
import { openPolicy } from './policy.ts'

/** Longer than changes are gathered. */
const SOON_MS = 20

const setup = (t: TestContext) => {
  const clock = fakeClock()
  const client = fakeClient({ clock })
  const nft = fakeNft()
  const deps = { client, clock, random: () => 0.5, log: silent }
  const watched = informers(deps)
  const told: string[] = []
  const events = { event: (_: unknown, type: string, reason: string, message: string) => void told.push(`${type} ${reason} ${message}`) }
  const enforced = openPolicy({ ruleset: openRuleset(nft), log: silent, nodeName: 'here', families: ['ip'] })
  const policies = followPolicies({
    ...deps,
    events: { ...events, flush: async () => {}, close: async () => {} },
    watched,
    policy: enforced,
  })
  t.after(async () => {
    await policies.close()
    await watched.close()
    assert.equal(client.watching, 0)
  })
  for (const name of ['default', 'other']) client.put(Namespace, namespace(name))
  return {
    client,
    clock,
    nft,
    policies,
    told,
    soon: () => clock.advance(SOON_MS),
    table: () => nft.dump('ip', 'coracle-policy'),
  }
}

const deny = policy('deny', { ingress: [] })
const web = pod('web', [], { phase: 'Pending' })

test('while there are no policies the pods of the cluster are not followed', async (t) => {
  const { client, clock, nft, policies, table, soon } = setup(t)
  client.put(Pod, pod('web', '10.42.1.2'))
  await policies.synced
  await soon()
  assert.equal(client.watching, 1)
  const { length } = nft.transactions
  await policies.place(pod('idle', []), ['10.42.1.9'])
  assert.equal(nft.transactions.length, length)
  client.put(NetworkPolicy, deny)
  await clock.advance(SOON_MS * 2)
  assert.match(await table(), /10\.42\.1\.2 : jump .*\n.*10\.42\.1\.9 : jump /)
  assert.equal(client.watching, 3)
})

test('a pod is isolated by the time that it has its place, and let go when it leaves', async (t) => {
  const { client, policies, table, soon } = setup(t)
  client.put(NetworkPolicy, deny)
  await policies.synced
  await soon()
  client.put(Pod, web)
  await policies.place(web, ['10.42.1.2'])
  assert.match(await table(), /10\.42\.1\.2 : jump /)
  policies.release(web.metadata.uid)
  policies.release(web.metadata.uid)
  await soon()
  assert.doesNotMatch(await table(), /10\.42\.1\.2/)
})

test('a pod that cannot be isolated has no place', async (t) => {
  const { client, policies, nft, soon, table } = setup(t)
  client.put(NetworkPolicy, deny)
  await policies.synced
  await soon()
  const { run } = nft
  nft.run = async () => {
    throw new NftError('ENOMEM')
  }
  await assert.rejects(policies.place(web, ['10.42.1.2']), { code: 'ENOMEM' })
  nft.run = run
  await policies.place(web, ['10.42.1.2'])
  assert.match(await table(), /10\.42\.1\.2 : jump /)
})

test('many pods at once are few transactions, and what does not matter is none', async (t) => {
  const { client, policies, nft, soon } = setup(t)
  client.put(NetworkPolicy, deny)
  await policies.synced
  await soon()
  const { length } = nft.transactions
  await Promise.all(Array.from({ length: 50 }, (_, i) => policies.place(pod(`p${i}`, []), [`10.42.1.${i}`])))
  assert(nft.transactions.length <= length + 2, `${nft.transactions.length - length} transactions`)
  await soon()
  const after = nft.transactions.length
  const remote = pod('remote', '10.42.2.2', { node: 'elsewhere' })
  client.put(Pod, remote)
  client.put(Pod, { ...remote, status: { ...remote.status, conditions: [{ type: 'Ready', status: 'True' }] } })
  await soon()
  assert.equal(nft.transactions.length, after)
})

test('a peer that changes its labels is let in, and out', async (t) => {
  const { client, policies, table, soon } = setup(t)
  client.put(NetworkPolicy, policy('web', { podSelector: app('web'), ingress: [{ from: [{ podSelector: app('client') }] }] }))
  client.put(Pod, pod('web', '10.42.1.2'))
  await policies.synced
  for (const [labels, isLetIn] of [
    [{ app: 'client' }, true],
    [{ app: 'stranger' }, false],
    [{ app: 'client' }, true],
  ] as const) {
    client.put(Pod, pod('someone', '10.42.2.2', { node: 'elsewhere', labels }))
    await soon()
    assert.equal((await table()).includes('10.42.2.2'), isLetIn)
  }
})

test('what is wrong with a policy is told once, and again when it is something else', async (t) => {
  const { client, policies, told, soon } = setup(t)
  client.put(Pod, pod('web', '10.42.1.2'))
  const bad = (cidr: string) => client.put(NetworkPolicy, policy('bad', { ingress: [{ from: [{ ipBlock: { cidr } }] }] }))
  bad('10.0.0.0/33')
  await policies.synced
  await soon()
  client.put(Pod, pod('web-2', '10.42.1.3'))
  await soon()
  const text = (cidr: string) =>
    `Warning FailedToProgramNetworkPolicy spec.ingress[0].from[0].ipBlock: ${cidr} is no block of addresses here`
  assert.deepEqual(told.splice(0), [text('10.0.0.0/33')])
  bad('10.0.0.0')
  await soon()
  assert.deepEqual(told.splice(0), [text('10.0.0.0')])
})
