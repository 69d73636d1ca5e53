// OpenAPI 3 of one group and version, as /openapi/v3/apis/<group>/<version> serves it: what kubectl needs
// for explain, apply, diff and validation.

import { atOnce, type Steps } from '../../breather.ts'
import type { Gvk } from '../schema.ts'
import { Definitions } from './definitions.ts'
import { readDocs } from './docs.ts'
import { type Json } from './json.ts'
import { type Endpoint, endpointsOf, type Parameter, type ServedKind } from './paths.ts'
import { listOf, objectOf, refOf } from './refer.ts'

const patchTypes = [
  'application/apply-patch+yaml',
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
]
const bodyTypes = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf']
const anyPatch: Json = {
  description: 'Patch is provided to give a concrete name and type to the Kubernetes PATCH request body.',
  type: 'object',
}
const patchName = 'io.k8s.apimachinery.pkg.apis.meta.v1.Patch'

/** `kinds`: all of the group and version. `release` is what /version reports. */
export const openapiV3 = (kinds: readonly ServedKind[], release: string): Json => atOnce(describingV3(kinds, release))

/** As openapiV3, kind by kind. */
export function* describingV3(kinds: readonly ServedKind[], release: string): Steps<Json> {
  const definitions = new Definitions(3, readDocs())
  const paths: Record<string, Json> = {}
  for (const served of kinds) {
    for (const endpoint of endpointsOf(served)) {
      const path = (paths[endpoint.path] ??= pathItem(endpoint))
      path[endpoint.method] = operation(endpoint, definitions)
    }
    yield
  }
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: release },
    paths,
    components: { schemas: { ...definitions.all(), [patchName]: anyPatch } },
  }
}

const pathItem = ({ pathParameters }: Endpoint): Json => ({ parameters: pathParameters.map(parameter) })

const parameter = ({ name, in: place, type, description }: Parameter): Json => ({
  name,
  in: place,
  description,
  ...(place === 'path' && { required: true }),
  schema: { type, uniqueItems: true },
})

function operation(endpoint: Endpoint, definitions: Definitions): Json {
  const { gvk, action, method } = endpoint
  const object = objectOf(endpoint, definitions)
  const answers: Record<Endpoint['answer'], Json> = {
    object,
    list: listOf(endpoint, definitions),
    status: refOf({ group: '', version: 'v1', kind: 'Status' }, definitions),
  }
  const answer = { description: 'OK', content: contentOf(['application/json', 'application/yaml'], answers[endpoint.answer]) }
  return {
    tags: [tagOf(gvk)],
    description: `${action} ${gvk.kind}`,
    operationId: operationId(endpoint),
    parameters: endpoint.parameters.map(parameter),
    ...bodyOf(endpoint, object, definitions),
    responses: {
      '200': answer,
      ...(method === 'post' && { '201': { ...answer, description: 'Created' }, '202': { ...answer, description: 'Accepted' } }),
      ...((method === 'put' || method === 'patch') && { '201': { ...answer, description: 'Created' } }),
      '401': { description: 'Unauthorized' },
    },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': gvk,
  }
}

/** Of custom resources neither the strategic patch nor protobuf: kubectl reads here which patch it may send. */
const customTypes = (types: readonly string[]) => types.filter((type) => !type.includes('strategic') && !type.includes('protobuf'))

function bodyOf({ body, published }: Endpoint, object: Json, definitions: Definitions): Json {
  const taken = (types: readonly string[]) => (published ? customTypes(types) : types)
  switch (body) {
    case 'object':
      return { requestBody: { content: contentOf(taken(bodyTypes), object), required: true } }
    case 'patch':
      return { requestBody: { content: contentOf(taken(patchTypes), { $ref: `#/components/schemas/${patchName}` }), required: true } }
    case 'delete':
      return { requestBody: { content: contentOf(bodyTypes, refOf({ group: '', version: 'v1', kind: 'DeleteOptions' }, definitions)) } }
    default:
      return {}
  }
}

const contentOf = (types: readonly string[], schema: Json): Json => Object.fromEntries(types.map((type) => [type, { schema }]))

const tagOf = ({ group, version }: Gvk): string => `${group ? group.replace(/\.k8s\.io$/, '').replaceAll('.', '_') : 'core'}_${version}`

/** Unique in the document, and speaking: `patchAppsV1NamespacedDeploymentStatus`. */
export function operationId({ action, path }: Pick<Endpoint, 'action' | 'path'>): string {
  const words = path.replace(/^\/apis?\//, '').replace('namespaces/{namespace}/', 'namespaced/')
  return (
    action + words.replace(/[^A-Za-z0-9]+(.|$)/g, (_, next: string) => next.toUpperCase()).replace(/^./, (first) => first.toUpperCase())
  )
}
