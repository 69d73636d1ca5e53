// The endpoints of kinds, as both versions of OpenAPI describe them: path, action, parameters.

import type { Kind } from '../../kinds/kind.ts'
import type { Published } from '../crd/publish.ts'
import type { Gvk } from '../schema.ts'

/** A kind as it is served; its verbs are those of discovery. */
export type ServedKind = {
  kind: Kind
  verbs: readonly string[]
  subresources?: readonly (Gvk & { name: string; verbs: readonly string[] })[]
  /** Of a custom resource, which the table does not know. */
  published?: Published
}

export type Parameter = { name: string; in: 'query' | 'path'; type: 'string' | 'integer' | 'boolean'; description: string }

export type Endpoint = {
  path: string
  method: 'get' | 'post' | 'put' | 'patch' | 'delete'
  /** `x-kubernetes-action`. */
  action: string
  gvk: Gvk
  /** Where `gvk` is a custom resource. */
  published?: Published
  /** What a request carries: the kind, a patch, DeleteOptions, or nothing. */
  body: 'object' | 'patch' | 'delete' | 'none'
  answer: 'object' | 'list' | 'status'
  pathParameters: Parameter[]
  parameters: Parameter[]
}

const query = (name: string, type: Parameter['type'], description: string): Parameter => ({ name, in: 'query', type, description })

const pretty = query('pretty', 'string', "If 'true', then the output is pretty printed.")
const dryRun = query(
  'dryRun',
  'string',
  'When present, indicates that modifications should not be persisted. Valid values are: - All: all dry run stages will be processed',
)
const fieldManager = query(
  'fieldManager',
  'string',
  'fieldManager is a name associated with the actor or entity that is making these changes.',
)
const fieldValidation = query(
  'fieldValidation',
  'string',
  'fieldValidation instructs the server on how to handle objects in the request containing unknown or duplicate fields. Valid values are: - Ignore - Warn - Strict',
)
const force = query(
  'force',
  'boolean',
  'Force is going to "force" Apply requests. It means user will re-acquire conflicting fields owned by other people.',
)
const writing = [dryRun, fieldManager, fieldValidation]
const selecting = [
  query('labelSelector', 'string', 'A selector to restrict the list of returned objects by their labels. Defaults to everything.'),
  query('fieldSelector', 'string', 'A selector to restrict the list of returned objects by their fields. Defaults to everything.'),
  query('limit', 'integer', 'limit is a maximum number of responses to return for a list call.'),
  query('continue', 'string', 'The continue option should be set when retrieving more results from the server.'),
  query('resourceVersion', 'string', 'resourceVersion sets a constraint on what resource versions a request may be served from.'),
  query('resourceVersionMatch', 'string', 'resourceVersionMatch determines how resourceVersion is applied to list calls.'),
  query('timeoutSeconds', 'integer', 'Timeout for the list/watch call.'),
]
const watching = [
  query(
    'watch',
    'boolean',
    'Watch for changes to the described resources and return them as a stream of add, update, and remove notifications.',
  ),
  query('allowWatchBookmarks', 'boolean', 'allowWatchBookmarks requests watch events with type "BOOKMARK".'),
  query('sendInitialEvents', 'boolean', '`sendInitialEvents=true` may be set together with `watch=true`.'),
]
const deleting = [
  dryRun,
  query('gracePeriodSeconds', 'integer', 'The duration in seconds before the object should be deleted.'),
  query('orphanDependents', 'boolean', 'Deprecated: please use the PropagationPolicy.'),
  query('propagationPolicy', 'string', 'Whether and how garbage collection will be performed.'),
]
const nameParameter = (kind: string): Parameter => ({ name: 'name', in: 'path', type: 'string', description: `name of the ${kind}` })
const namespaceParameter: Parameter = {
  name: 'namespace',
  in: 'path',
  type: 'string',
  description: 'object name and auth scope, such as for teams and projects',
}

type Shape = Pick<Endpoint, 'method' | 'action' | 'body' | 'answer' | 'parameters'>

/** By verb; those of one object, and those of the collection. */
const onItem: Record<string, Shape> = {
  get: { method: 'get', action: 'get', body: 'none', answer: 'object', parameters: [] },
  update: { method: 'put', action: 'put', body: 'object', answer: 'object', parameters: writing },
  patch: { method: 'patch', action: 'patch', body: 'patch', answer: 'object', parameters: [...writing, force] },
  delete: { method: 'delete', action: 'delete', body: 'delete', answer: 'status', parameters: deleting },
}
const onCollection: Record<string, Shape> = {
  list: { method: 'get', action: 'list', body: 'none', answer: 'list', parameters: [...watching, ...selecting] },
  create: { method: 'post', action: 'post', body: 'object', answer: 'object', parameters: writing },
  deletecollection: {
    method: 'delete',
    action: 'deletecollection',
    body: 'delete',
    answer: 'status',
    parameters: [...selecting, ...deleting],
  },
}
const onSubresource: Record<string, Shape> = { ...onItem, create: onCollection.create as Shape }

export function endpointsOf({ kind, verbs, subresources = [], published }: ServedKind): Endpoint[] {
  const root = kind.group ? `/apis/${kind.group}/${kind.version}` : `/api/${kind.version}`
  const gvk = { group: kind.group, kind: kind.kind, version: kind.version }
  const inNamespace = kind.namespaced ? [namespaceParameter] : []
  const collection = `${root}/${kind.namespaced ? 'namespaces/{namespace}/' : ''}${kind.plural}`
  const item = [nameParameter(kind.kind), ...inNamespace]
  const select = (shapes: Record<string, Shape>, verbs: readonly string[], path: string, gvk: Gvk, pathParameters: Parameter[]) =>
    verbs.flatMap((verb): Endpoint[] => {
      const shape = shapes[verb]
      if (!shape) return []
      const custom = published && gvk.kind === kind.kind && gvk.group === kind.group
      return [{ ...shape, path, gvk, pathParameters, parameters: [pretty, ...shape.parameters], ...(custom && { published }) }]
    })
  return [
    ...select(onCollection, verbs, collection, gvk, inNamespace),
    ...(kind.namespaced ? select(onCollection, verbs.includes('list') ? ['list'] : [], `${root}/${kind.plural}`, gvk, []) : []),
    ...select(onItem, verbs, `${collection}/{name}`, gvk, item),
    ...subresources.flatMap(({ name, verbs, group, version, kind }) =>
      select(onSubresource, verbs, `${collection}/{name}/${name}`, { group, kind, version }, item),
    ),
  ]
}
