import assert from 'node:assert/strict'
import { it } from 'node:test'
import { builtinKinds } from '#api/kinds/registry.ts'
import { openapiV2 } from '#api/schema/openapi/v2.ts'
import { subresourcesOf } from './discovery.ts'

type Definition = { description?: string; properties?: Record<string, { description?: string }> }

it('every field of every kind that is served has a description', () => {
  const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']
  const resources = builtinKinds.map((spec) => ({ kind: spec.kind, verbs, subresources: subresourcesOf(spec) }))
  const { definitions } = openapiV2(resources, 'v1.0.0') as { definitions: Record<string, Definition> }
  const silent = Object.entries(definitions).flatMap(([type, { description, properties = {} }]) => [
    ...(description?.trim() ? [] : [type]),
    ...Object.entries(properties).flatMap(([field, each]) => (each.description?.trim() ? [] : [`${type}.${field}`])),
  ])
  assert.deepEqual(silent, [])
  assert.ok(Object.keys(definitions).length > 400)
})

it('a field says what it is for, not what it holds', () => {
  const pods = builtinKinds.filter(({ kind }) => kind.kind === 'Pod').map(({ kind }) => ({ kind, verbs: ['get'] }))
  const { definitions } = openapiV2(pods, 'v1.0.0') as { definitions: Record<string, Definition> }
  assert.match(definitions['io.k8s.api.core.v1.Container']?.properties?.livenessProbe?.description ?? '', /liveness/)
  assert.match(definitions['io.k8s.api.core.v1.Probe']?.properties?.httpGet?.description ?? '', /request to perform/)
})
