import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client } from '#api/client/client.ts'
import { fakeClock } from '#api/clock.fake.ts'
import { StatusError } from '#api/errors.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { tokensOf } from './tokens.ts'

const pod = {
  metadata: { name: 'web', namespace: 'shop', uid: 'u1' },
  spec: { serviceAccountName: 'till', containers: [] },
} as unknown as Pod

test('a token is asked for once, renewed in time, and kept while the server is away', async () => {
  const asked: unknown[] = []
  let away = false
  const client = {
    create: async (
      _kind: unknown,
      body: { metadata: object; spec: { expirationSeconds: number } },
      { subresource }: { subresource: string },
    ) => {
      if (away) throw new StatusError('ServiceUnavailable', 'connection refused')
      asked.push([body.metadata, subresource, body.spec])
      return { spec: body.spec, status: { token: `t${asked.length}`, expirationTimestamp: '' } }
    },
  } as unknown as Client
  const clock = fakeClock()
  const said: string[] = []
  const tokens = tokensOf({ client, clock, onStale: (pod, why) => said.push(`${pod.metadata.name}: ${why}`) })
  const options = { expirationSeconds: 1000 }

  assert.equal((await tokens.get(pod, options)).token, 't1')
  assert.deepEqual(asked, [
    [
      { namespace: 'shop', name: 'till' },
      'token',
      { audiences: [], expirationSeconds: 1000, boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'web', uid: 'u1' } },
    ],
  ])
  clock.stall(799_000)
  assert.equal((await tokens.get(pod, options)).token, 't1')
  clock.jump(365 * 86_400_000)
  clock.stall(1_000)
  away = true
  assert.equal((await tokens.get(pod, options)).token, 't1')
  clock.jump(-2 * 365 * 86_400_000)
  clock.stall(200_000)
  assert.deepEqual(said, [])
  assert.equal((await tokens.get(pod, options)).token, 't1', 'it has run out, but is all there is')
  assert.equal((await tokens.get(pod, options)).token, 't1')
  assert.deepEqual(said, ['web: connection refused'])
  await assert.rejects(tokens.get({ ...pod, metadata: { ...pod.metadata, uid: 'u2' } }, options), {
    name: 'VolumeError',
    message: 'failed to fetch token: connection refused',
  })
  away = false
  assert.equal((await tokens.get(pod, options)).token, 't2')
  tokens.forget('u1')
  assert.equal((await tokens.get(pod, options)).token, 't3')
})
