import assert from 'node:assert/strict'
import { test } from 'node:test'
import { trial } from '../testing/trial.fake.ts'

test('component statuses tell how the store is, to those who still ask this way', async (t) => {
  const server = await trial()
  t.after(() => server.close())
  const path = '/api/v1/componentstatuses'
  const list = await server.ask('GET', path)
  assert.equal(list.headers.get('warning'), '299 - "v1 ComponentStatus is deprecated in v1.19+"')
  assert.deepEqual(
    list.body.items.map((c: { metadata: { name: string }; conditions: object[] }) => [c.metadata.name, c.conditions]),
    [['store', [{ type: 'Healthy', status: 'True', message: 'ok' }]]],
  )
  const table = await server.ask('GET', `${path}/store`, undefined, { headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' } })
  assert.deepEqual(table.body.rows[0].cells, ['store', 'Healthy', 'ok', ''])
  assert.equal((await server.ask('GET', `${path}/other`)).code, 404)
  assert.equal((await server.ask('POST', path, { metadata: { name: 'x' } })).code, 405)
})
