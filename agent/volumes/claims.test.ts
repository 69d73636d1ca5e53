import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fakeClient } from '#api/client/fake.ts'
import { fakeClock } from '#api/clock.fake.ts'
import { PersistentVolume, PersistentVolumeClaim } from '#api/kinds/index.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { claimsOf } from './claims.ts'

test('the volume of a claim is known without the server, and asked for again where a power cut left half of it', async (t) => {
  const podsDir = await mkdtemp(join(tmpdir(), 'coracle-claims-'))
  t.after(() => rm(podsDir, { recursive: true }))
  const client = fakeClient({ clock: fakeClock() })
  const namespace = 'default'
  const claim = client.put(PersistentVolumeClaim, {
    metadata: { name: 'data', namespace },
    spec: { volumeName: 'pv' },
    status: { phase: 'Bound' },
  })
  client.put(PersistentVolume, { metadata: { name: 'pv' }, spec: { claimRef: { name: 'data', namespace, uid: claim.metadata.uid } } })
  let asked = 0
  client.intercept(() => void (asked += 1))
  const find = claimsOf({ client, podsDir })
  const pod = { metadata: { name: 'web', namespace, uid: 'u' } } as Pod
  const volume = { name: 'v', persistentVolumeClaim: { claimName: 'data' } }
  const name = async () => (await find(pod, volume)).metadata.name
  assert.equal(await name(), 'pv')
  const once = asked
  assert.equal(await name(), 'pv')
  assert.equal(asked, once)
  const file = join(podsDir, 'u/claims/v.json')
  const whole = await readFile(file, 'utf8')
  for (const half of ['', whole.slice(0, whole.length / 2)]) {
    await writeFile(file, half)
    assert.equal(await name(), 'pv')
    assert.equal(await readFile(file, 'utf8'), whole)
  }
  assert.ok(asked > once)
})
