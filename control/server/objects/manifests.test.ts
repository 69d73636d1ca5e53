// A wrong refusal costs more than a missing rule: what public projects install is taken as it is, and
// once more when only a note of somebody is added.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { parseYamlDocuments } from '#api/yaml/yaml.ts'
import { type Json, trial } from '../testing/trial.fake.ts'

test('manifests of public projects are taken', async (t) => {
  const server = await trial()
  t.after(() => server.close())
  const text = await readFile(resolve(import.meta.dirname, 'manifests.fixture.yaml'), 'utf8')
  const kinds = new Map(server.core.resources.all().map((each) => [`${each.apiVersion} ${each.kind.kind}`, each]))
  for (const object of parseYamlDocuments(text) as Json[]) {
    const { apiVersion, kind, metadata } = object
    const resource = kinds.get(`${apiVersion} ${kind}`)
    assert.ok(resource, `${apiVersion} ${kind}`)
    const root = `/${apiVersion.includes('/') ? 'apis' : 'api'}/${apiVersion}`
    const path = `${root}/${resource.kind.namespaced ? 'namespaces/test/' : ''}${resource.kind.plural}`
    const made = await server.ask('POST', `${path}?fieldValidation=Strict`, object)
    assert.equal(made.code, 201, `${kind} ${metadata.name}: ${made.text}`)
    const { name } = made.body.metadata
    const again = await server.ask(
      'PATCH',
      `${path}/${encodeURIComponent(name)}`,
      { metadata: { annotations: { 'example.com/seen': 'yes' } } },
      { headers: { 'content-type': 'application/merge-patch+json' } },
    )
    assert.equal(again.code, 200, `${kind} ${name}: ${again.text}`)
    assert.equal(again.body.metadata.namespace, resource.kind.namespaced ? 'test' : undefined)
  }
})
