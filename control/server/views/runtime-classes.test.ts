// Pods that name a RuntimeClass: it must be there, and they get what it says.

import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import { type Answer, type Json, type Trial, trial } from '../testing/trial.fake.ts'

let server: Trial
const classes = '/apis/node.k8s.io/v1/runtimeclasses'
const toleration = { key: 'sandbox', operator: 'Exists', effect: 'NoSchedule' }

before(async () => {
  server = await trial()
  const scheduling = { nodeSelector: { sandbox: 'yes' }, tolerations: [toleration] }
  const heavy = { metadata: { name: 'heavy' }, handler: 'heavy', overhead: { podFixed: { memory: '64Mi' } }, scheduling }
  assert.equal((await server.ask('POST', classes, heavy)).code, 201)
  assert.equal((await server.ask('POST', classes, { metadata: { name: 'plain' }, handler: 'runc' })).code, 201)
})
after(() => server.close())

const create = async (spec: Json): Promise<Answer> =>
  await server.ask('POST', '/api/v1/namespaces/default/pods?dryRun=All', {
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
  })

it('a class that is not there is no isolation', async () => {
  const { code, body } = await create({ runtimeClassName: 'gvisor' })
  assert.deepEqual(
    [code, body.reason, body.message],
    [403, 'Forbidden', 'pods "p" is forbidden: pod rejected: RuntimeClass "gvisor" not found'],
  )
})

it('overhead, nodes and tolerations are those of the class', async () => {
  const { code, body } = await create({ runtimeClassName: 'heavy', nodeSelector: { disk: 'ssd' }, tolerations: [toleration] })
  assert.equal(code, 201, body.message)
  assert.deepEqual(body.spec.overhead, { memory: '64Mi' })
  assert.deepEqual(body.spec.nodeSelector, { disk: 'ssd', sandbox: 'yes' })
  assert.equal(body.spec.tolerations.filter(({ key }: Json) => key === 'sandbox').length, 1)
  const { body: plain } = await create({ runtimeClassName: 'plain' })
  assert.deepEqual([plain.spec.runtimeClassName, plain.spec.overhead, plain.spec.nodeSelector], ['plain', undefined, undefined])
})

it('a pod may say nothing else', async () => {
  const rows: [spec: Json, why: string][] = [
    [
      { runtimeClassName: 'heavy', overhead: { memory: '1Mi' } },
      "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
    ],
    [
      { runtimeClassName: 'plain', overhead: { memory: '1Mi' } },
      'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead',
    ],
    [{ overhead: { memory: '1Mi' } }, 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead'],
    [
      { runtimeClassName: 'heavy', nodeSelector: { sandbox: 'no' } },
      'conflict: runtimeClass.Scheduling.NodeSelector[sandbox] = yes; pod.Spec.NodeSelector[sandbox] = no',
    ],
  ]
  for (const [spec, why] of rows) assert.equal((await create(spec)).body.message, `pods "p" is forbidden: ${why}`)
})
