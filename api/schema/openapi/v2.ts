// OpenAPI 2 of everything, as /openapi/v2 serves it: clients before kubectl 1.27 validate and explain with it.

import { atOnce, type Steps } from '../../breather.ts'
import { Definitions } from './definitions.ts'
import { readDocs } from './docs.ts'
import { type Json } from './json.ts'
import { type Endpoint, endpointsOf, type Parameter, type ServedKind } from './paths.ts'
import { listOf, objectOf } from './refer.ts'
import { operationId } from './v3.ts'

export const openapiV2 = (kinds: readonly ServedKind[], release: string): Json => atOnce(describingV2(kinds, release))

/** As openapiV2, kind by kind. */
export function* describingV2(kinds: readonly ServedKind[], release: string): Steps<Json> {
  const definitions = new Definitions(2, readDocs())
  const paths: Record<string, Json> = {}
  for (const served of kinds) {
    for (const endpoint of endpointsOf(served)) {
      const path = (paths[endpoint.path] ??= { parameters: endpoint.pathParameters.map(parameter) })
      path[endpoint.method] = operation(endpoint, definitions)
    }
    yield
  }
  return { swagger: '2.0', info: { title: 'Kubernetes', version: release }, paths, definitions: definitions.all() }
}

const parameter = ({ name, in: place, type, description }: Parameter): Json => ({
  name,
  in: place,
  description,
  ...(place === 'path' && { required: true }),
  type,
  uniqueItems: true,
})

function operation(endpoint: Endpoint, definitions: Definitions): Json {
  const { gvk, action, body } = endpoint
  const object = objectOf(endpoint, definitions)
  const answer = endpoint.answer === 'list' ? listOf(endpoint, definitions) : object
  const content: Json[] = body === 'object' ? [{ name: 'body', in: 'body', required: true, schema: object }] : []
  return {
    operationId: operationId(endpoint),
    parameters: [...content, ...endpoint.parameters.map(parameter)],
    responses: { '200': { description: 'OK', ...(endpoint.answer !== 'status' && { schema: answer }) } },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': gvk,
  }
}
