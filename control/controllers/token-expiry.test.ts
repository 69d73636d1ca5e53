import assert from 'node:assert/strict'
import { test } from 'node:test'
import { timestamp } from '#api/clock.ts'
import { Secret } from '#api/kinds/index.ts'
import { harness } from './harness.fake.ts'

test('join tokens go with their time, and nothing else does', async () => {
  await using h = await harness()
  const over = Buffer.from(timestamp(h.clock.now() + 3600_000)).toString('base64')
  const make = (name: string, type: string, data: Record<string, string>, namespace = 'kube-system') =>
    h.client.create(Secret, { metadata: { namespace, name }, type, data } as never)
  await make('bootstrap-token-a', 'bootstrap.kubernetes.io/token', { expiration: over })
  await make('bootstrap-token-b', 'bootstrap.kubernetes.io/token', {})
  await make('other', 'Opaque', { expiration: over })
  await make('bootstrap-token-c', 'bootstrap.kubernetes.io/token', { expiration: over }, 'default')
  const left = async () => (await h.client.list(Secret, {})).items.map(({ metadata }) => metadata.name).toSorted()
  await h.clock.advance(3599_000)
  assert.deepEqual(await left(), ['bootstrap-token-a', 'bootstrap-token-b', 'bootstrap-token-c', 'other'])
  await h.clock.advance(2_000)
  await h.settle()
  assert.deepEqual(await left(), ['bootstrap-token-b', 'bootstrap-token-c', 'other'])
})
