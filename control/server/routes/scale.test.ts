// The forms in which a Scale is shown.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { definition, establish } from '../custom/resources.fake.ts'
import { deployment, type Trial, trial } from '../testing/trial.fake.ts'

const web = '/apis/apps/v1/namespaces/test/deployments/web'
const meta = (as: string, more = '') => ({ headers: { accept: `application/json;as=${as};v=v1;g=meta.k8s.io${more}` } })

describe('a scale', () => {
  let server: Trial
  before(async () => {
    server = await trial()
    assert.equal((await server.ask('POST', '/apis/apps/v1/namespaces/test/deployments', deployment('web', 3))).code, 201)
  })
  after(() => server.close())

  it('is a table for people', async () => {
    const { code, body } = await server.ask('GET', `${web}/scale`, undefined, meta('Table', ',application/json'))
    assert.deepEqual([code, body.kind, body.apiVersion], [200, 'Table', 'meta.k8s.io/v1'])
    const columns = body.columnDefinitions.map(({ name, type }: { name: string; type: string }) => [name, type])
    assert.deepEqual(columns, [
      ['Name', 'string'],
      ['Desired', 'integer'],
      ['Available', 'integer'],
      ['Age', 'string'],
    ])
    const [row] = body.rows
    assert.deepEqual([row.cells.slice(0, 3), row.object.kind, row.object.metadata.name], [['web', 3, 0], 'PartialObjectMetadata', 'web'])
    const { rows } = (await server.ask('GET', `${web}/scale?includeObject=Object`, undefined, meta('Table'))).body
    assert.deepEqual([rows[0].object.kind, rows[0].object.spec], ['Scale', { replicas: 3 }])
  })

  it('is its metadata where only that is wanted', async () => {
    const { code, body } = await server.ask('GET', `${web}/scale`, undefined, meta('PartialObjectMetadata'))
    assert.deepEqual([code, body.kind, body.metadata.name, 'spec' in body], [200, 'PartialObjectMetadata', 'web', false])
  })

  it('is so when it is written, and of a custom resource', async () => {
    const headers = { ...meta('Table').headers, 'content-type': 'application/merge-patch+json' }
    const { body } = await server.ask('PATCH', `${web}/scale`, { spec: { replicas: 2 } }, { headers })
    assert.deepEqual([body.kind, body.rows[0].cells.slice(0, 2)], ['Table', ['web', 2]])
    const count = { type: 'object', properties: { replicas: { type: 'integer' } } }
    const schema = { type: 'object', properties: { spec: count, status: count } }
    const scale = { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' }
    await establish(server, definition('sets', { schema, version: { subresources: { scale } } }))
    const sets = '/apis/example.com/v1/namespaces/test/sets'
    const made = await server.ask('POST', sets, {
      apiVersion: 'example.com/v1',
      kind: 'Set',
      metadata: { name: 's' },
      spec: { replicas: 4 },
    })
    assert.equal(made.code, 201, made.text)
    const shown = await server.ask('GET', `${sets}/s/scale`, undefined, meta('Table'))
    assert.deepEqual([shown.body.kind, shown.body.rows[0].cells.slice(0, 2)], ['Table', ['s', 4]])
  })
})
