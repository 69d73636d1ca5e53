import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClusterRole } from '#api/kinds/index.ts'
import type { PolicyRule } from '#api/types/rbac-v1.gen.ts'
import { harness } from './harness.fake.ts'

const rule = (resource: string): PolicyRule => ({ apiGroups: ['example.com'], resources: [resource], verbs: ['get'] })
const selecting = (key: string) => ({ clusterRoleSelectors: [{ matchLabels: { [key]: 'true' } }] })

test('a cluster role gathers the rules of those it selects, and follows them', async () => {
  await using h = await harness()
  const rulesOf = async (name: string) => (await h.client.get(ClusterRole, { name })).rules
  await h.client.create(ClusterRole, { metadata: { name: 'large' }, aggregationRule: selecting('to-large'), rules: [rule('own')] })
  await h.client.create(ClusterRole, {
    metadata: { name: 'small', labels: { 'to-large': 'true' } },
    aggregationRule: selecting('to-small'),
    rules: [],
  })
  await h.client.create(ClusterRole, { metadata: { name: 'b', labels: { 'to-small': 'true' } }, rules: [rule('bs'), rule('as')] })
  await h.client.create(ClusterRole, { metadata: { name: 'a', labels: { 'to-small': 'true', 'to-large': 'true' } }, rules: [rule('as')] })
  await h.settle()
  assert.deepEqual(await rulesOf('small'), [rule('as'), rule('bs')])
  assert.deepEqual(await rulesOf('large'), [rule('as'), rule('bs')], 'through the one between them, and its own are replaced')

  await h.client.delete(ClusterRole, { name: 'b' })
  await h.settle()
  assert.deepEqual([await rulesOf('small'), await rulesOf('large')], [[rule('as')], [rule('as')]])
  assert.deepEqual(h.complaints, [])
})
