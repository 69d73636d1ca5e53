import assert from 'node:assert/strict'
import { test } from 'node:test'
import { settle } from '#api/clock.fake.ts'
import { Pod } from '#api/kinds/index.ts'
import { namespace, setup } from '../scheduler.fake.ts'

type Scheduled = Awaited<ReturnType<typeof setup>>

const member = (t: Scheduled, name: string, group: string, least: number, cpu = '1') =>
  t.client.create(Pod, {
    metadata: {
      name,
      namespace,
      labels: { 'pod-group.scheduling.sigs.k8s.io/name': group, 'pod-group.scheduling.sigs.k8s.io/min-available': String(least) },
    },
    spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu } } }] },
  })
const why = async (t: Scheduled, name: string) =>
  (await t.client.get(Pod, { namespace, name })).status.conditions?.find(({ type }) => type === 'PodScheduled')?.message

test('pods of a group wait until enough of them are there, and then go together', async () => {
  await using t = await setup()
  t.node('node-1', '8')
  await member(t, 'a-0', 'a', 3)
  await member(t, 'a-1', 'a', 3)
  await t.put('other', '1')
  await settle(20)
  assert.deepEqual(await t.where(), ['a-0 -', 'a-1 -', 'other node-1'])
  assert.equal(await why(t, 'a-1'), 'pod group "a" waits for 1 more of its pods, at least 3 are wanted')
  await member(t, 'a-2', 'a', 3)
  await settle(20)
  assert.deepEqual(await t.where(), ['a-0 node-1', 'a-1 node-1', 'a-2 node-1', 'other node-1'])
  // Beyond what is wanted at the least each goes on its own, and one that is made again too.
  await member(t, 'a-3', 'a', 3)
  await t.client.delete(Pod, { namespace, name: 'a-0' }, { gracePeriodSeconds: 0 })
  await settle(20)
  await member(t, 'a-0', 'a', 3)
  await settle(20)
  assert.equal((await t.where()).filter((line) => line.endsWith(' -')).length, 0)
})

test('a group that does not fit whole holds no room, and goes once there is enough', async () => {
  await using t = await setup()
  t.node('node-1', '3')
  for (const i of [0, 1, 2, 3]) await member(t, `a-${i}`, 'a', 4)
  for (const i of [0, 1]) await member(t, `b-${i}`, 'b', 2)
  await t.clock.advance(20_000)
  assert.deepEqual(await t.where(), ['a-0 -', 'a-1 -', 'a-2 -', 'a-3 -', 'b-0 node-1', 'b-1 node-1'])
  assert.match(
    (await why(t, 'a-0')) ?? '',
    /^0\/1 nodes are available: 1 Insufficient cpu\. .* pod group "a": [13] of its pods fit together, at least 4 have to$/,
  )
  t.node('node-2', '3')
  await t.clock.advance(20_000)
  assert.equal((await t.where()).filter((line) => line.endsWith(' -')).length, 0)
})

test('half of two groups never waits for the other half', async () => {
  await using t = await setup()
  t.node('node-1', '4')
  for (const i of [0, 1, 2]) {
    await member(t, `a-${i}`, 'a', 3)
    await member(t, `b-${i}`, 'b', 3)
  }
  await t.clock.advance(60_000)
  const bound = (await t.where()).filter((line) => line.endsWith('node-1')).map((line) => line[0])
  assert.deepEqual(new Set(bound).size, 1)
  assert.equal(bound.length, 3)
  for (const i of [0, 1, 2]) await t.client.delete(Pod, { namespace, name: `${bound[0]}-${i}` }, { gracePeriodSeconds: 0 })
  await t.clock.advance(60_000)
  assert.equal((await t.where()).filter((line) => line.endsWith('node-1')).length, 3)
})
