// What a write to the status of an object changes besides: labels and annotations, of most built-in kinds.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { definition, establish } from '../custom/resources.fake.ts'
import { deployment, type Json, pod, type Trial, trial } from '../testing/trial.fake.ts'

describe('a write to the status', () => {
  let server: Trial
  before(async () => {
    server = await trial()
  })
  after(() => server.close())

  const marks = { labels: { by: 'status' }, annotations: { by: 'status' } }
  /** The metadata of an object after marks were sent to its status, by PUT and by PATCH. */
  const marked = async (path: string, object: Json): Promise<Json[]> => {
    assert.equal((await server.ask('POST', path, object)).code, 201)
    const at = `${path}/${object.metadata.name}`
    const { metadata, ...rest } = (await server.ask('GET', at)).body
    const put = await server.ask('PUT', `${at}/status`, { ...rest, metadata: { ...metadata, ...marks, finalizers: ['example.com/hold'] } })
    assert.equal(put.code, 200, put.text)
    const headers = { 'content-type': 'application/merge-patch+json' }
    const patched = await server.ask(
      'PATCH',
      `${at}/status`,
      { metadata: { labels: { by: 'patch' } }, spec: { paused: true } },
      { headers },
    )
    assert.equal(patched.code, 200, patched.text)
    return [put.body, patched.body]
  }
  const seen = ({ metadata }: Json) => [metadata.labels?.by, metadata.annotations?.by, metadata.finalizers]

  it('keeps labels and annotations of built-in kinds', async () => {
    const [put, patched] = await marked('/api/v1/namespaces/test/pods', pod('p'))
    assert.deepEqual(
      [seen(put), seen(patched)],
      [
        ['status', 'status', undefined],
        ['patch', 'status', undefined],
      ],
    )
  })

  it('keeps what their kind keeps', async () => {
    const [put, patched] = await marked('/apis/apps/v1/namespaces/test/deployments', deployment('d'))
    assert.deepEqual(
      [seen(put), seen(patched)],
      [
        [undefined, 'status', undefined],
        [undefined, 'status', undefined],
      ],
    )
    assert.equal(patched.spec.paused, undefined)
  })

  it('keeps none of custom resources', async () => {
    await establish(server, definition('parts', { version: { subresources: { status: {} } }, schema: { type: 'object' } }))
    const part = { apiVersion: 'example.com/v1', kind: 'Part', metadata: { name: 'a' } }
    const [put, patched] = await marked('/apis/example.com/v1/namespaces/test/parts', part)
    assert.deepEqual([seen(put), seen(patched)], [Array(3).fill(undefined), Array(3).fill(undefined)])
  })
})
