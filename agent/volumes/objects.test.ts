import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeClient } from '#api/client/fake.ts'
import { fakeClock, settle } from '#api/clock.fake.ts'
import { ConfigMap } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import { openObjects } from './objects.ts'

const ref = { namespace: 'shop', name: 'settings' }
const settings = (value: string) => ({ metadata: ref, data: { value } })

function setup() {
  const clock = fakeClock()
  const client = fakeClient({ clock })
  const finds: string[] = []
  client.intercept(({ verb, ref }) => {
    if (verb === 'get') finds.push(ref!.name)
  })
  return { clock, client, finds, objects: openObjects({ client, clock, random: () => 0.5, log: silent }) }
}

test('what nobody holds is asked for each time; what is held is followed', async () => {
  const { client, objects, finds } = setup()
  client.put(ConfigMap, settings('a'))
  assert.equal((await objects.find(ConfigMap, ref))?.data?.value, 'a')
  let changes = 0
  const release = objects.hold(ConfigMap, ref, () => changes++)
  await settle()
  assert.equal(changes, 1)

  client.put(ConfigMap, settings('b'))
  await settle()
  assert.equal((await objects.find(ConfigMap, ref))?.data?.value, 'b')
  client.drop(ConfigMap, ref)
  await settle()
  assert.equal(await objects.find(ConfigMap, ref), undefined)
  assert.equal(changes, 3)
  assert.equal(finds.length, 1, 'no question but the first')
  release()
  await objects.close()
  assert.equal(client.watching, 0)
})

test('an object that does not exist yet is heard of when it appears', async () => {
  const { client, objects } = setup()
  const appeared = new Promise<void>((resolve) => objects.hold(ConfigMap, ref, resolve))
  await settle()
  assert.equal(await objects.find(ConfigMap, ref), undefined)
  client.put(ConfigMap, settings('a'))
  await appeared
  await objects.close()
})

test('two holders share one watch, which ends with the last of them', async () => {
  const { client, objects, clock } = setup()
  const first = objects.hold(ConfigMap, ref, () => undefined)
  const second = objects.hold(ConfigMap, ref, () => undefined)
  await settle()
  assert.equal(client.watching, 1)
  first()
  first()
  await settle()
  assert.equal(client.watching, 1)
  second()
  await objects.close()
  assert.equal(client.watching, 0)
  assert.equal(clock.pending, 0)
})
