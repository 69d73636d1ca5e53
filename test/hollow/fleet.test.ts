import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Lease, Node, Pod } from '#api/kinds/index.ts'
import { live } from '#control/server/testing/live.fake.ts'
import { pod } from '#control/server/testing/trial.fake.ts'
import { hollowFleet } from './fleet.ts'

test('a fleet’s nodes are ready, and answer for the pods that are bound to them', async () => {
  await using server = await live()
  const client = server.server.client()
  const told: string[] = []
  const { promise: isOver, resolve: over } = Promise.withResolvers<void>()
  const { promise: runs, resolve: running } = Promise.withResolvers<void>()
  await using fleet = await hollowFleet({
    server: `https://127.0.0.1:${server.server.port}`,
    credentials: { ca: server.pki.authority.cert, ...server.pki.admin },
    count: 50,
    labels: (index) => ({ 'topology.kubernetes.io/zone': `z${index % 2}` }),
    capacity: () => ({ cpu: '2', memory: '4Gi', pods: '10' }),
    heard(type, { metadata, spec, status }) {
      told.push(`${type} ${metadata.name} ${spec.nodeName} ${status.phase}`)
      if (status.phase === 'Running') running()
      if (type === 'DELETED') over()
    },
  })
  const { items } = await client.list(Node, { labelSelector: 'topology.kubernetes.io/zone=z1' })
  assert.equal(items.length, 25)
  assert.ok(items.every(({ status }) => status.allocatable?.cpu === '2' && status.conditions?.[0]?.status === 'True'))
  assert.equal((await client.list(Lease, { namespace: 'kube-node-lease' })).items.length, 50)
  const path = '/api/v1/namespaces/default/pods'
  for (const [name, more] of [['waits', {}] as const, ['bound', { nodeName: fleet.names[7] }] as const])
    assert.equal((await server.ask('POST', path, { body: pod(name, more) })).code, 201)
  await runs
  assert.deepEqual([fleet.bound, fleet.running], [1, 1])
  const { status } = await client.get(Pod, { namespace: 'default', name: 'bound' })
  assert.deepEqual([status.phase, status.containerStatuses?.[0]?.ready], ['Running', true])
  assert.equal((await server.ask('DELETE', `${path}/bound`)).code, 200)
  await isOver
  assert.deepEqual([fleet.bound, fleet.running], [0, 0])
  assert.ok(told.every((line) => line.includes('bound hollow-7')))
})
