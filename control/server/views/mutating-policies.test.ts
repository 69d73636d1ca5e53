import assert from 'node:assert/strict'
import { it } from 'node:test'
import { configMap, trial } from '../testing/trial.fake.ts'
import { about, maps, registration } from './webhooks.fake.ts'

it('a mutating admission policy is kept, does nothing, and says so', async (t) => {
  const server = await trial()
  t.after(() => server.close())
  const metadata = { name: 'labels' }
  const policy = {
    metadata,
    spec: {
      matchConstraints: { resourceRules: [about(['configmaps'])] },
      mutations: [{ patchType: 'JSONPatch', jsonPatch: { expression: '[JSONPatch{op: "add", path: "/data", value: {"a": "b"}}]' } }],
    },
  }
  const made = await server.ask('POST', `${registration}/mutatingadmissionpolicies`, policy)
  assert.equal(made.code, 201, made.text)
  assert.equal(
    made.headers.get('warning'),
    '299 - "a MutatingAdmissionPolicy is stored, but nothing acts on it; a mutating webhook can do its work"',
  )
  const binding = { metadata, spec: { policyName: 'labels' } }
  assert.equal((await server.ask('POST', `${registration}/mutatingadmissionpolicybindings`, binding)).code, 201)
  assert.equal((await server.ask('POST', maps, configMap('one'))).body.data, undefined)
  const read = await server.ask('GET', `${registration}/mutatingadmissionpolicies/labels`)
  assert.deepEqual([read.body.spec.mutations, read.headers.get('warning')], [policy.spec.mutations, null])
  assert.equal((await server.ask('DELETE', `${registration}/mutatingadmissionpolicies/labels`)).headers.get('warning'), null)
})
