import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Lease, Node } from '#api/kinds/index.ts'
import { alone } from './alone.fake.ts'
import { leaseGc } from './lease-gc.ts'

test('leases of nodes and servers that are gone go, others stay', async () => {
  await using h = await alone((deps) => [leaseGc(deps)])
  const put = (namespace: string, name: string, labels = {}) =>
    h.client.put(Lease, {
      metadata: { namespace, name, labels },
      spec: { holderIdentity: name, renewTime: '1970-01-01T00:00:00.000000Z' },
    })
  h.client.put(Node, { metadata: { name: 'away' }, spec: {}, status: {} })
  put('kube-node-lease', 'away')
  put('kube-node-lease', 'gone')
  put('kube-node-lease', 'renewed')
  put('kube-system', 'apiserver-x', { 'apiserver.kubernetes.io/identity': 'kube-apiserver' })
  put('kube-system', 'leader')
  put('default', 'theirs')
  const left = async () => (await h.client.list(Lease, {})).items.map(({ metadata }) => metadata.name).sort()
  h.clock.jump(1e9)
  await h.clock.advance(3_000_000)
  put('kube-node-lease', 'renewed')
  assert.equal((await left()).length, 6)
  await h.clock.advance(700_000)
  assert.deepEqual(await left(), ['away', 'leader', 'renewed', 'theirs'])
  await h.clock.advance(10_000_000)
  assert.deepEqual(await left(), ['away', 'leader', 'theirs'])
  h.client.drop(Node, { name: 'away' })
  await h.clock.advance(4_000_000)
  assert.deepEqual(await left(), ['leader', 'theirs'])
})
