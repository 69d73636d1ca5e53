// Random objects of every kind: decoded strictly, stored on disk, found there by the next start, and read.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fakeClock } from '#api/clock.fake.ts'
import { builtinKinds } from '#api/kinds/registry.ts'
import { silent } from '#api/log.ts'
import { decode } from '#api/schema/decode.ts'
import { randomObject, seeded } from '#api/schema/random.fake.ts'
import { openLevelStore } from '../../store/level.ts'
import { encode } from '../cache/item.ts'
import { WatchCache } from '../cache/watch-cache.ts'
import { keyFor, Resources } from './resource.ts'
import type { Stored } from './stored.ts'
import { toServed } from './versions.ts'

test('what is stored is what was sent, whatever it is', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'coracle-round-trip-'))
  t.after(() => rm(dir, { recursive: true }))
  const resources = new Resources(builtinKinds)
  const kinds = [...resources.kept()].filter(({ spec }) => !spec.converts)
  const seed = Date.now() % 1_000_000
  t.diagnostic(`seed ${seed}`)
  const random = seeded(seed)
  const sent = new Map<string, { object: Stored; revision: number }>()
  const first = await openLevelStore({ dir, log: silent })
  for (const resource of kinds) {
    for (let round = 0; round < 3; round += 1) {
      const { apiVersion, kind, schema } = resource
      const metadata = { name: `o${round}`, ...(kind.namespaced && { namespace: 'n' }) }
      const input = { ...randomObject(schema, random, 6), apiVersion, kind: kind.kind, metadata }
      const { object, warnings } = decode(schema, input, { fieldValidation: 'Strict' })
      assert.deepEqual(warnings, [])
      const key = keyFor(resource, metadata.namespace, metadata.name)
      const { modRevision } = await first.put(key, (revision) => encode(object as Stored, revision))
      sent.set(key, { object: object as Stored, revision: modRevision })
    }
  }
  assert.ok(kinds.length > builtinKinds.length - 5)
  await first.close()

  const store = await openLevelStore({ dir, log: silent })
  const cache = new WatchCache({ store, log: silent, clock: fakeClock() })
  t.after(async () => {
    await cache.close()
    await store.close()
  })
  await cache.start(kinds)
  for (const resource of kinds) {
    for (const item of cache.of(resource).under(resource.prefix)) {
      const { object, revision } = sent.get(item.key) as { object: Stored; revision: number }
      const read = (await toServed(resource, item)).object
      assert.deepEqual(read, { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } }, item.key)
      assert.deepEqual(decode(resource.schema, read as never, { fieldValidation: 'Strict' }).object, read, item.key)
      sent.delete(item.key)
    }
  }
  assert.deepEqual([...sent.keys()], [])
})
