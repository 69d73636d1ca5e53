// Resource requests over HTTP: from method, path, query and body to a call of the core, and back.

import { breather } from '#api/breather.ts'
import type { Clock } from '#api/clock.ts'
import { StatusError } from '#api/errors.ts'
import type { Incoming } from '#api/http/incoming.ts'
import type { Reply } from '#api/http/reply.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import { decode } from '#api/schema/decode.ts'
import { clone, type Item } from '../cache/item.ts'
import type { Target, WriteOptions } from '../objects/call.ts'
import type { Core } from '../objects/core.ts'
import { narrowing } from '../objects/narrow.ts'
import type { ListQuery } from '../objects/read.ts'
import { warnOfAll } from '../objects/request-review.ts'
import { checkKind, type Resource } from '../objects/resource.ts'
import { type View, viewOf } from './accept.ts'
import { answerItem, answerJson, answerList, answerWatch, type ResponseFormat } from './answer.ts'
import { mediaType, objectIn, parseYaml, readBody, readBytes, readJson } from './body.ts'
import { deleteOptionsOf, writeOptionsOf } from './options.ts'
import { hasProtobuf } from './protobuf.ts'
import { type Exchange, isTrue, noSuchPath, type ResourceRequest } from './request.ts'
import { statusOf } from './status.ts'
import type { IncludeObject } from './table.ts'

type Deps = { core: Core; clock: Clock; randomTimeout: () => number }

export class ResourceHandler {
  readonly #core: Core
  readonly #clock: Clock
  readonly #randomTimeout: () => number

  constructor({ core, clock, randomTimeout }: Deps) {
    this.#core = core
    this.#clock = clock
    this.#randomTimeout = randomTimeout
  }

  /** For the object itself and its status; other subresources have handlers of their own. */
  async handle(resource: Resource, exchange: Exchange): Promise<Reply> {
    const { info } = exchange
    if (!isServed(resource, info)) throw notAllowed()
    switch (info.verb) {
      case 'get': {
        const item = await this.#core.get(targetOf(resource, info), exchange.url.searchParams.get('resourceVersion') ?? undefined)
        return await answerItem(resource, item, this.look(resource, exchange, []))
      }
      case 'list': {
        const look = this.look(resource, exchange, [])
        return await answerList(resource, await this.#core.list(listQueryOf(resource, exchange)), look)
      }
      case 'watch':
        return await this.#watch(resource, exchange)
      case 'create':
        return await this.#create(resource, exchange)
      case 'update':
        return await this.#update(resource, exchange)
      case 'patch':
        return await this.#patch(resource, exchange)
      case 'delete':
        return await this.#delete(resource, exchange)
      case 'deletecollection':
        return await this.#deleteCollection(resource, exchange)
      default:
        throw notAllowed()
    }
  }

  look(resource: Resource, exchange: Exchange, warnings: readonly string[], { watch = false } = {}): ResponseFormat {
    const { request, url } = exchange
    const narrow = narrowing(exchange)
    return {
      view: narrow ? viewOf(undefined) : viewFor(resource, request, watch),
      narrow,
      include: includeOf(url),
      now: () => this.#clock.now(),
      acceptEncoding: request.headers.get('accept-encoding') ?? undefined,
      warnings,
    }
  }

  async #watch(resource: Resource, exchange: Exchange): Promise<Reply> {
    const look = this.look(resource, exchange, [], { watch: true })
    const { searchParams } = exchange.url
    const { info } = exchange
    const query = listQueryOf(resource, exchange)
    const feed = await this.#core.watch({
      ...query,
      // A watch on one object, the old way: /api/v1/nodes/one?watch=true
      ...(info.name !== undefined && { fieldSelector: `metadata.name=${info.name}` }),
      timeoutSeconds: positive(searchParams, 'timeoutSeconds') || this.#randomTimeout(),
      allowWatchBookmarks: isTrue(searchParams.get('allowWatchBookmarks')),
      sendInitialEvents: searchParams.has('sendInitialEvents') ? isTrue(searchParams.get('sendInitialEvents')) : undefined,
      signal: exchange.request.signal,
      gathered: look.narrow?.gathered,
    })
    return answerWatch(resource, feed, look, (error) => statusOf(error).status)
  }

  async #create(resource: Resource, exchange: Exchange): Promise<Reply> {
    const options = writeOptionsOf(exchange)
    const view = viewFor(resource, exchange.request)
    const object = await readObject(resource, exchange, options)
    const item = await this.#core.create(resource, exchange.info.namespace, object, options)
    return await this.#written(resource, exchange, item, options, view, 201)
  }

  async #update(resource: Resource, exchange: Exchange): Promise<Reply> {
    const options = writeOptionsOf(exchange)
    const view = viewFor(resource, exchange.request)
    const object = await readObject(resource, exchange, options)
    const item = await this.#core.update(targetOf(resource, exchange.info), options, () => clone(object))
    return await this.#written(resource, exchange, item, options, view)
  }

  async #patch(resource: Resource, exchange: Exchange): Promise<Reply> {
    const options = writeOptionsOf(exchange)
    const view = viewFor(resource, exchange.request)
    const patch = await readPatch(exchange.request)
    if (patch.type === 'strategic' && resource.schema.loose) throw unknownPatch(['json', 'merge', 'apply'])
    const target = targetOf(resource, exchange.info)
    if (patch.type === 'apply' && !exchange.url.searchParams.get('fieldManager')) {
      throw new StatusError('Invalid', 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch')
    }
    if (patch.type !== 'apply') {
      if (exchange.url.searchParams.has('force')) {
        throw new StatusError(
          'Invalid',
          'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
        )
      }
      const item = await this.#core.patch(target, { type: patch.type, body: patch.body }, options)
      return await this.#written(resource, exchange, item, options, view)
    }
    if (patch.faults.length > 0 && options.fieldValidation === 'Strict')
      throw new StatusError('BadRequest', `error strict decoding YAML: ${patch.faults.join(', ')}`)
    if (options.fieldValidation !== 'Ignore') warnOfAll(options.warnings, patch.faults)
    const { item, created } = await this.#core.apply(target, patch.body, {
      ...options,
      force: isTrue(exchange.url.searchParams.get('force')),
    })
    return await this.#written(resource, exchange, item, options, view, created ? 201 : 200)
  }

  async #written(resource: Resource, exchange: Exchange, item: Item, options: WriteOptions, view: View, code = 200): Promise<Reply> {
    const look = { ...this.look(resource, exchange, options.warnings ?? []), view }
    return await answerItem(resource, item, look, code)
  }

  async #delete(resource: Resource, exchange: Exchange): Promise<Reply> {
    const options = await deleteOptionsOf(exchange)
    const look = this.look(resource, exchange, exchange.remarks.warnings)
    const { gone, item } = await this.#core.delete(targetOf(resource, exchange.info), exchange.user, options)
    if (!gone) return await answerItem(resource, item, look)
    const { kind } = resource
    return await answerJson(
      {
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Success',
        details: {
          name: item.object.metadata.name,
          ...(kind.group && { group: kind.group }),
          kind: kind.plural,
          uid: item.object.metadata.uid,
        },
      },
      look,
    )
  }

  async #deleteCollection(resource: Resource, exchange: Exchange): Promise<Reply> {
    const options = await deleteOptionsOf(exchange)
    const look = this.look(resource, exchange, exchange.remarks.warnings)
    return await answerList(resource, await this.#core.deleteCollection(listQueryOf(resource, exchange), exchange.user, options), look)
  }
}

/** Whether the method makes sense for the path: names for single objects, a namespace to create in. */
function isServed(resource: Resource, { verb, name, namespace, subresource }: ResourceRequest): boolean {
  if (subresource !== '') return ['get', 'update', 'patch'].includes(verb)
  if (!resource.verbs.includes(verb)) return false
  if (verb === 'create' && name !== undefined) return false
  if ((verb === 'update' || verb === 'patch') && name === undefined) return false
  return !((verb === 'create' || verb === 'deletecollection') && resource.kind.namespaced && namespace === undefined)
}

const viewFor = (resource: Resource, { headers }: Incoming, watch = false): View =>
  viewOf(headers.get('accept') ?? undefined, { watch, schemaless: !hasProtobuf(resource) })

const notAllowed = () => new StatusError('MethodNotAllowed', 'the server does not allow this method on the requested resource')

export function targetOf(resource: Resource, { namespace, name }: ResourceRequest): Target {
  if (name === undefined || resource.kind.namespaced !== (namespace !== undefined)) throw noSuchPath()
  return { resource, namespace, name }
}

function listQueryOf(resource: Resource, { url, info }: Exchange): ListQuery {
  const { searchParams } = url
  const text = (name: string) => searchParams.get(name) || undefined
  return {
    resource,
    namespace: info.namespace,
    labelSelector: text('labelSelector'),
    fieldSelector: text('fieldSelector'),
    resourceVersion: text('resourceVersion'),
    resourceVersionMatch: text('resourceVersionMatch'),
    limit: positive(searchParams, 'limit'),
    continue: text('continue'),
  }
}

function positive(params: URLSearchParams, name: string): number {
  const text = params.get(name)
  if (!text) return 0
  if (!/^-?\d{1,15}$/.test(text)) throw new StatusError('BadRequest', `strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`)
  return Math.max(Number(text), 0)
}

/** The object of a create or update, decoded as this resource. */
async function readObject(resource: Resource, { request }: Exchange, options: WriteOptions): Promise<KubeObject> {
  const plain = resource.schema.loose ?? false
  const body = await readBody(request, { duplicates: options.fieldValidation !== 'Ignore', floats: !plain, plain })
  const input = objectIn(body)
  checkKind(resource, input)
  const breathe = breather()
  const { object, warnings } = decode(resource.schema, input, {
    fieldValidation: options.fieldValidation ?? 'Warn',
    faults: body.faults,
    ...(body.floats && { floats: body.floats }),
  })
  warnOfAll(options.warnings, warnings)
  await breathe()
  return { ...object, kind: resource.kind.kind, apiVersion: resource.apiVersion } as KubeObject
}

const patchTypes = new Map([
  ['application/json-patch+json', 'json'],
  ['application/merge-patch+json', 'merge'],
  ['application/strategic-merge-patch+json', 'strategic'],
  ['application/apply-patch+yaml', 'apply'],
] as const)

export async function readPatch(
  request: Incoming,
): Promise<{ type: 'json' | 'merge' | 'strategic' | 'apply'; body: unknown; faults: readonly string[] }> {
  const type = patchTypes.get(mediaType(request.headers.get('content-type')) as never)
  if (!type) throw unknownPatch([...patchTypes.values()])
  const bytes = await readBytes(request)
  // YAML holds JSON as well.
  const isYaml = type === 'apply' && !new TextDecoder().decode(bytes.subarray(0, 1024)).trimStart().startsWith('{')
  const { value, faults } = isYaml
    ? await parseYaml(bytes)
    : await readJson(bytes, { failure: 'error decoding patch', duplicates: type === 'apply', written: type === 'json' || type === 'merge' })
  return { type, body: value, faults }
}

/** `spoken`: the kinds of patch that are taken. */
const unknownPatch = (spoken: readonly string[]): StatusError => {
  const types = [...patchTypes].filter(([, type]) => spoken.includes(type)).map(([mediaType]) => mediaType)
  return new StatusError(
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${types.join(', ')}`,
  )
}

/** What rows of a table hold beside their cells. Throws BadRequest. */
export function includeOf(url: URL): IncludeObject {
  const include = url.searchParams.get('includeObject') || 'Metadata'
  if (include === 'None' || include === 'Metadata' || include === 'Object') return include
  throw new StatusError('BadRequest', `invalid includeObject value: ${JSON.stringify(include)}: must be one of None, Metadata, Object`)
}
