import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Kind } from '../../kinds/kind.ts'
import { packages } from '../table.ts'
import type { Json } from './json.ts'
import { openapiV3 } from './v3.ts'

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']
const kind = (group: string, name: string, plural: string, namespaced = true): Kind => ({
  group,
  version: 'v1',
  kind: name,
  plural,
  namespaced,
})
const apps = () =>
  openapiV3(
    [
      {
        kind: kind('apps', 'Deployment', 'deployments'),
        verbs,
        subresources: [
          { name: 'status', group: 'apps', version: 'v1', kind: 'Deployment', verbs: ['get', 'patch', 'update'] },
          { name: 'scale', group: 'autoscaling', version: 'v1', kind: 'Scale', verbs: ['get', 'patch', 'update'] },
        ],
      },
    ],
    'v1.33.0',
  ) as { paths: Record<string, Record<string, Json>>; components: { schemas: Record<string, Json> } }

/** Every reference in the document. */
function refsOf(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => (key === '$ref' && typeof inner === 'string' ? [inner] : refsOf(inner)))
}

test('paths carry action, kind and the parameters that kubectl looks for', () => {
  const { paths } = apps()
  assert.deepEqual(Object.keys(paths), [
    '/apis/apps/v1/namespaces/{namespace}/deployments',
    '/apis/apps/v1/deployments',
    '/apis/apps/v1/namespaces/{namespace}/deployments/{name}',
    '/apis/apps/v1/namespaces/{namespace}/deployments/{name}/status',
    '/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale',
  ])
  const item = paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}']
  assert.deepEqual(Object.keys(item ?? {}).sort(), ['delete', 'get', 'parameters', 'patch', 'put'])
  const patch = item?.patch as Json
  assert.equal(patch['x-kubernetes-action'], 'patch')
  assert.deepEqual(patch['x-kubernetes-group-version-kind'], { group: 'apps', kind: 'Deployment', version: 'v1' })
  assert.deepEqual(
    (patch.parameters as Json[]).map(({ name }) => name),
    ['pretty', 'dryRun', 'fieldManager', 'fieldValidation', 'force'],
  )
  const scale = paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale']?.get
  assert.deepEqual(scale?.['x-kubernetes-group-version-kind'], { group: 'autoscaling', kind: 'Scale', version: 'v1' })
})

test('schemas carry what merges and explains', () => {
  const { schemas } = apps().components
  const pod = schemas['io.k8s.api.core.v1.PodSpec'] as { properties: Record<string, Json>; required: string[] }
  assert.deepEqual(pod.required, ['containers'])
  assert.deepEqual(Object.fromEntries(Object.entries(pod.properties.containers ?? {}).filter(([key]) => key !== 'description')), {
    'x-kubernetes-list-map-keys': ['name'],
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-patch-merge-key': 'name',
    'x-kubernetes-patch-strategy': 'merge',
    type: 'array',
    items: { allOf: [{ $ref: '#/components/schemas/io.k8s.api.core.v1.Container' }], default: {} },
  })
  const deployment = schemas['io.k8s.api.apps.v1.Deployment'] as Json & { properties: Record<string, Json> }
  assert.deepEqual(deployment['x-kubernetes-group-version-kind'], [{ group: 'apps', kind: 'Deployment', version: 'v1' }])
  assert.deepEqual(deployment.properties.spec?.allOf, [{ $ref: '#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec' }])
  assert.equal(schemas['io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector']?.['x-kubernetes-map-type'], 'atomic')
})

test('every reference of every kind leads somewhere, and operations have names of their own', () => {
  for (const { group, version, types } of Object.values(packages())) {
    const kinds = Object.keys(types).filter((name) => types[name]?.kind && `${name}List` in types)
    const document = openapiV3(
      kinds.map((name) => ({ kind: { group, version, kind: name, plural: `${name.toLowerCase()}s`, namespaced: true }, verbs })),
      'v1.33.0',
    ) as { paths: Record<string, Record<string, Json>>; components: { schemas: object } }
    for (const ref of refsOf(document)) assert(ref.replace('#/components/schemas/', '') in document.components.schemas, ref)
    const ids = Object.values(document.paths).flatMap((path) => Object.values(path).flatMap(({ operationId }) => operationId ?? []))
    assert.equal(new Set(ids).size, ids.length)
  }
})
