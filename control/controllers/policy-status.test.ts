import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CustomResourceDefinition, ValidatingAdmissionPolicy } from '#api/kinds/index.ts'
import { type Harness, harness } from './harness.fake.ts'

const about = (apiGroups: string[], resources: string[]) => ({
  resourceRules: [{ operations: ['*' as const], apiGroups, apiVersions: ['v1'], resources }],
})
const policy = (name: string, expression: string, matchConstraints = about(['apps'], ['deployments'])) => ({
  metadata: { name, generation: 1 },
  spec: { matchConstraints, validations: [{ expression: 'true' }, { expression }] },
})
const statusOf = async (h: Harness, name: string, test: (status: ValidatingAdmissionPolicy['status']) => boolean) => {
  const signal = AbortSignal.timeout(5000)
  for await (const { object } of h.client.watch(ValidatingAdmissionPolicy, { fieldSelector: `metadata.name=${name}`, signal }))
    if (object.status && test(object.status)) return object.status.typeChecking?.expressionWarnings
  throw new Error(`${name} has no such status`)
}
const seen = ({ observedGeneration }: ValidatingAdmissionPolicy['status']) => observedGeneration === 1

test('the author of a policy is told what does not fit its kinds', async () => {
  await using h = await harness()
  const good = 'object == null || (object.spec.replicas < 5 && object.metadata.namespace != "" && object.metadata.labels["a"] == "b")'
  await h.client.create(ValidatingAdmissionPolicy, policy('good', good))
  await h.client.create(ValidatingAdmissionPolicy, policy('typo', 'object.spec.replicsa < 5'))
  await h.client.create(
    ValidatingAdmissionPolicy,
    policy('type', 'object.spec.replicas < "5"', about(['apps'], ['deployments', 'replicasets'])),
  )
  await h.client.create(ValidatingAdmissionPolicy, policy('any', 'object.nope', about(['*'], ['*'])))
  assert.equal(await statusOf(h, 'good', seen), undefined)
  assert.deepEqual(await statusOf(h, 'typo', seen), [
    { fieldRef: 'spec.validations[1].expression', warning: "apps/v1, Kind=Deployment: ERROR: <input>:1:13: undefined field 'replicsa'" },
  ])
  assert.deepEqual(await statusOf(h, 'type', seen), [
    {
      fieldRef: 'spec.validations[1].expression',
      warning: ['Deployment', 'ReplicaSet']
        .map((kind) => `apps/v1, Kind=${kind}: ERROR: <input>:1:1: no such overload: int < string`)
        .join('\n'),
    },
  ])
  assert.equal(await statusOf(h, 'any', seen), undefined)
  assert.deepEqual(h.complaints, [])
})

test('a policy about a custom kind is looked at when the kind comes', async () => {
  await using h = await harness()
  await h.client.create(
    ValidatingAdmissionPolicy,
    policy('late', 'object.metadata.labels["a"] == object.kind && object.spec.size > 1', about(['example.com'], ['cups'])),
  )
  assert.equal(await statusOf(h, 'late', seen), undefined)
  const properties = { spec: { type: 'object', properties: { volume: { type: 'integer' } } } }
  await h.client.create(CustomResourceDefinition, {
    metadata: { name: 'cups.example.com', generation: 1 },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'cups', kind: 'Cup' },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', properties } } }],
    },
  })
  const warned = (status: ValidatingAdmissionPolicy['status']) => (status.typeChecking?.expressionWarnings?.length ?? 0) > 0
  assert.match(
    (await statusOf(h, 'late', warned))?.[0]?.warning ?? '',
    /^example\.com\/v1, Kind=Cup: ERROR: <input>:1:59: undefined field 'size'$/,
  )
})
