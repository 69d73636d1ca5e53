import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FlowSchema, PriorityLevelConfiguration } from '#api/kinds/index.ts'
import { autoupdate, defaultLevels, defaultSchemas } from '../fairness/defaults.ts'
import { ensureFlowControl } from '../fairness/ensure.ts'
import { harness } from './harness.fake.ts'

test('default schemas and levels are made, come back, and follow what is written unless they are somebody’s own', async () => {
  await using h = await harness()
  await ensureFlowControl(h.client)
  await h.settle()
  const schemas = (await h.client.list(FlowSchema)).items
  assert.equal(schemas.length, defaultSchemas.size)
  assert.ok(schemas.every((s) => s.status.conditions?.[0]?.reason === 'Found'))
  await h.client.delete(PriorityLevelConfiguration, { name: 'system' })
  await h.settle()
  const system = await h.client.get(PriorityLevelConfiguration, { name: 'system' })
  assert.deepEqual(system.spec, defaultLevels.get('system'))

  const spec = { ...system.spec, limited: { ...system.spec.limited!, nominalConcurrencyShares: 7 } }
  await h.client.update(PriorityLevelConfiguration, { ...system, spec })
  await h.settle()
  const restored = await h.client.get(PriorityLevelConfiguration, { name: 'system' })
  assert.equal(restored.spec.limited?.nominalConcurrencyShares, 30)
  const own = { ...restored, metadata: { ...restored.metadata, annotations: { [autoupdate]: 'false' } }, spec }
  await h.client.update(PriorityLevelConfiguration, own)
  await h.settle()
  assert.equal((await h.client.get(PriorityLevelConfiguration, { name: 'system' })).spec.limited?.nominalConcurrencyShares, 7)
  assert.deepEqual(h.complaints, [])
})

test('a schema tells whether its level is there', async () => {
  await using h = await harness()
  await ensureFlowControl(h.client)
  const spec = { ...defaultSchemas.get('global-default')!, priorityLevelConfiguration: { name: 'mine' } }
  await h.client.create(FlowSchema, { metadata: { name: 'mine' }, spec })
  const dangling = async () => (await h.client.get(FlowSchema, { name: 'mine' })).status?.conditions?.[0]?.status
  await h.settle()
  assert.equal(await dangling(), 'True')
  await h.client.create(PriorityLevelConfiguration, { metadata: { name: 'mine' }, spec: defaultLevels.get('system')! })
  await h.settle()
  assert.equal(await dangling(), 'False')
})
