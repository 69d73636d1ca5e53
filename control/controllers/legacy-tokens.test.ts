import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Pod, Secret, ServiceAccount } from '#api/kinds/index.ts'
import { alone } from './alone.fake.ts'
import { legacyTokens } from './legacy-tokens.ts'

const namespace = 'default'
const day = 86_400_000

test('tokens that the cluster made and no pod mounts are marked after a year, and go after another', async () => {
  await using h = await alone((deps) => [legacyTokens(deps)])
  h.client.put(ServiceAccount, { metadata: { name: 'app', namespace }, secrets: [{ name: 'app-token' }, { name: 'mounted-token' }] })
  const put = (name: string) =>
    h.client.put(Secret, {
      metadata: { name, namespace, annotations: { 'kubernetes.io/service-account.name': 'app' } },
      type: 'kubernetes.io/service-account-token',
    })
  for (const name of ['app-token', 'mounted-token', 'by-hand']) put(name)
  h.client.put(Pod, {
    metadata: { name: 'p', namespace },
    spec: { containers: [], volumes: [{ name: 't', secret: { secretName: 'mounted-token' } }] },
  })
  const left = async () =>
    (await h.client.list(Secret, { namespace })).items
      .map(({ metadata }) => `${metadata.name} ${metadata.labels?.['kubernetes.io/legacy-token-invalid-since'] ?? ''}`.trim())
      .sort()
  await h.clock.advance(364 * day)
  assert.deepEqual(await left(), ['app-token', 'by-hand', 'mounted-token'])
  await h.clock.advance(2 * day)
  assert.deepEqual(await left(), ['app-token 2026-01-01', 'by-hand', 'mounted-token'])
  const before = h.client.writes.length
  await h.clock.advance(360 * day)
  assert.deepEqual(h.client.writes.slice(before), [])
  await h.clock.advance(6 * day)
  assert.deepEqual(await left(), ['by-hand', 'mounted-token'])
})
