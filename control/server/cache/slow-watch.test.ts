import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigMap } from '#api/kinds/index.ts'
import { configMap, eventsOf, trial } from '../testing/trial.fake.ts'

const configMaps = '/api/v1/namespaces/test/configmaps'

test('a watch that is never read is cut off by bytes, ends cleanly, and goes on from where it ended', async (t) => {
  const server = await trial()
  t.after(() => server.close())
  const { body } = await server.ask('GET', configMaps)
  const slow = await server.open(`${configMaps}?watch=true&resourceVersion=${body.metadata.resourceVersion}`)
  const quick = eventsOf(await server.open(`${configMaps}?watch=true&resourceVersion=${body.metadata.resourceVersion}`))
  const count = 60
  for (let i = 0; i < count; i += 1) {
    await server.client.create(ConfigMap, {
      ...configMap(`c${i}`),
      metadata: { namespace: 'test', name: `c${i}` },
      data: { x: 'x'.repeat(400_000) },
    })
    assert.equal((await quick.next()).value.object.metadata.name, `c${i}`, 'others are told as ever')
  }
  const seen: string[] = []
  let last = ''
  for await (const { type, object } of eventsOf(slow)) {
    assert.equal(type, 'ADDED')
    seen.push(object.metadata.name)
    last = object.metadata.resourceVersion
  }
  assert.ok(seen.length < 50 && seen.length * 400_000 > 15_000_000, `${seen.length} events were kept for it`)
  const again = eventsOf(await server.open(`${configMaps}?watch=true&resourceVersion=${last}`))
  while (seen.length < count) seen.push((await again.next()).value.object.metadata.name)
  assert.deepEqual(
    seen,
    Array.from({ length: count }, (_, i) => `c${i}`),
  )
  await Promise.all([quick.return(undefined), again.return(undefined)])
})

test('a patch that is nested too deeply, or too long, is refused', async (t) => {
  const server = await trial()
  t.after(() => server.close())
  assert.equal((await server.ask('POST', configMaps, configMap('a'))).code, 201)
  const patch = (type: string, body: unknown) =>
    server.ask('PATCH', `${configMaps}/a`, body, { headers: { 'content-type': `application/${type}-patch+json` } })
  for (const type of ['merge', 'strategic-merge']) {
    const deep = await patch(type, `{"data":${'{"a":'.repeat(2000)}1${'}'.repeat(2001)}`)
    assert.deepEqual([deep.code, deep.body.reason], [400, 'BadRequest'])
    assert.match(deep.body.message, /exceeded max depth/)
  }
  const many = await patch(
    'json',
    Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/kind', value: 'ConfigMap' })),
  )
  assert.deepEqual([many.code, many.body.reason], [413, 'RequestEntityTooLarge'])
  assert.equal(many.body.message, 'The allowed maximum operations in a JSON patch is 10000, got 10001')
})
