import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client, WatchEvent } from '#api/client/client.ts'
import { fakeClock, settle } from '#api/clock.fake.ts'
import { StatusError } from '#api/errors.ts'
import { ConfigMap } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import { openObjects } from './objects.ts'

const ref = { namespace: 'shop', name: 'settings' }
const map = (version: string, value: string) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { ...ref, uid: 'c', resourceVersion: version },
  data: { value },
})

function setup() {
  let now: ReturnType<typeof map> | undefined
  let wake: (() => void) | undefined
  const events: WatchEvent<unknown>[] = []
  const asked: string[] = []
  const failures: Error[] = []
  const client = {
    find: async () => {
      asked.push('find')
      return now
    },
    list: async (_kind: unknown, options: { fieldSelector: string }) => {
      asked.push(`list ${options.fieldSelector}`)
      const failure = failures.shift()
      if (failure) throw failure
      return { items: now ? [now] : [], metadata: { resourceVersion: '10' } }
    },
    async *watch(_kind: unknown, { signal }: { signal: AbortSignal }) {
      asked.push('watch')
      signal.addEventListener('abort', () => wake?.())
      while (!signal.aborted) {
        for (let event = events.shift(); event; event = events.shift()) yield event
        await new Promise<void>((resolve) => (wake = resolve))
      }
    },
  } as unknown as Client
  const clock = fakeClock()
  const objects = openObjects({ client, clock, log: silent })
  return {
    objects,
    clock,
    asked,
    failures,
    set: (next: typeof now) => (now = next),
    send: async (event: WatchEvent<unknown>) => {
      events.push(event)
      wake?.()
      await settle()
    },
  }
}

test('what nobody holds is asked for each time; what is held is followed', async () => {
  const { objects, asked, set, send } = setup()
  set(map('5', 'a'))
  assert.equal((await objects.find(ConfigMap, ref))?.data?.value, 'a')
  let changes = 0
  const release = objects.hold(ConfigMap, ref, () => changes++)
  await settle()
  assert.equal(changes, 1)
  assert.deepEqual(asked, ['find', 'list metadata.name=settings', 'watch'])

  await send({ type: 'MODIFIED', object: map('11', 'b') })
  assert.equal((await objects.find(ConfigMap, ref))?.data?.value, 'b')
  await send({ type: 'DELETED', object: map('12', 'b') })
  assert.equal(await objects.find(ConfigMap, ref), undefined)
  assert.equal(changes, 3)
  assert.equal(asked.length, 3, 'no further question')
  release()
  await objects.close()
})

test('two holders share one watch, which ends with the last of them', async () => {
  const { objects, asked } = setup()
  const first = objects.hold(ConfigMap, ref, () => undefined)
  const second = objects.hold(ConfigMap, ref, () => undefined)
  await settle()
  assert.deepEqual(asked, ['list metadata.name=settings', 'watch'])
  first()
  first()
  await settle()
  await objects.find(ConfigMap, ref)
  assert.equal(asked.length, 2)
  second()
  await objects.find(ConfigMap, ref)
  assert.equal(asked.at(-1), 'find')
  await objects.close()
})

test('a server that is away is asked again, later and later', async () => {
  const { objects, asked, failures, clock } = setup()
  failures.push(new StatusError('ServiceUnavailable', 'a'), new StatusError('ServiceUnavailable', 'b'))
  objects.hold(ConfigMap, ref, () => undefined)
  await settle()
  await clock.advance(499)
  assert.equal(asked.length, 1)
  await clock.advance(1)
  assert.equal(asked.length, 2)
  await clock.advance(1000)
  assert.deepEqual(asked.slice(2), ['list metadata.name=settings', 'watch'])
  await objects.close()
  assert.equal(clock.pending, 0)
})
