// Random requests for the fuzz test: objects as people write them, random objects of the schema, and
// both bent out of shape, with paths, queries and headers to match. The same for the same seed.

import { allVerbs } from '#api/kinds/spec.ts'
import { encodeProtobuf } from '#api/schema/encode.ts'
import { type Random, randomObject } from '#api/schema/random.fake.ts'
import type { Resource } from '../objects/resource.ts'
import type { Json } from './trial.fake.ts'

export type FuzzRequest = { method: string; path: string; headers: Record<string, string>; body: string | Uint8Array | undefined }

export type FuzzWorld = {
  random: Random
  resources: readonly Resource[]
  /** Objects that can be created, by `v1 ConfigMap`. */
  samples: ReadonlyMap<string, Json>
}

/** Whose objects make the server call somebody, or refuse everybody: never stored by a fuzz. */
const dangerous = /webhookconfigurations|apiservices|customresourcedefinitions|admissionpolic/
/** Those that would go out to nodes are none of ours. */
const subresources = [
  'status',
  'scale',
  'binding',
  'eviction',
  'ephemeralcontainers',
  'resize',
  'token',
  'finalize',
  'approval',
  'none',
  '',
]
const oddTexts = [
  '',
  ' ',
  '\0',
  'ü',
  '\u{1f980}',
  '\ud800',
  '__proto__',
  'constructor',
  '../..',
  '%2e%2e%2f',
  'a/b',
  'A_B',
  '-',
  '.',
  '..',
  '9'.repeat(30),
  'x'.repeat(300),
  'null',
  'true',
  '1e999',
  '0x10',
  '+1',
  '{}',
  '[]',
  "'",
  '"',
  '$patch',
  '*',
  '2030-13-45T99:99:99Z',
  '-1m',
  '10.43.0.300',
  '::1',
]
const oddValues: Json[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  2 ** 53,
  -(2 ** 63),
  1e308,
  [],
  {},
  [[]],
  [null],
  { '': '' },
  { $patch: 'delete' },
]

export class Fuzz {
  readonly #world: FuzzWorld
  readonly #pick: <T>(from: readonly T[]) => T
  /** Asked for most of the time, so that requests meet the objects of earlier ones. */
  readonly #favourites: readonly Resource[]

  constructor(world: FuzzWorld) {
    this.#world = world
    this.#pick = (from) => from[world.random.below(from.length)] as (typeof from)[number]
    this.#favourites = Array.from({ length: 12 }, () => this.#pick(world.resources))
  }

  next(): FuzzRequest {
    const resource = this.#pick(this.#chance(4) ? this.#world.resources : this.#favourites)
    const verb = this.#pick([...allVerbs, 'create', 'create', 'patch', 'patch', 'update'])
    const name = this.#chance(20) ? this.#odd() : this.#pick(['a', 'b', 'c'])
    const safe = !dangerous.test(resource.kind.plural)
    const part = this.#chance(4) ? this.#pick(subresources) : ''
    const single = !['create', 'list', 'deletecollection'].includes(verb) && !(verb === 'watch' && this.#chance(2))
    const path = this.#path(resource, single || part ? name : undefined, part)
    const query = this.#query(verb, safe)
    const payload = this.#payload(verb, resource, name)
    const method = this.#chance(50) ? this.#pick(['GET', 'PUT', 'POST', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'PROPFIND']) : payload.method
    const body = ['GET', 'HEAD'].includes(method) ? undefined : payload.body
    return {
      method,
      path: `${path}${query ? `?${query}` : ''}`,
      headers: { ...this.#headers(), ...(body !== undefined && { 'content-type': payload.type }) },
      body,
    }
  }

  #chance = (of: number): boolean => this.#world.random.below(of) === 0
  #odd = (): string => this.#pick(oddTexts)

  #path({ apiVersion, kind }: Resource, name: string | undefined, part: string): string {
    const namespaced = kind.namespaced !== this.#chance(40)
    const parts = [
      ...(apiVersion.includes('/') ? ['apis', ...apiVersion.split('/')] : ['api', apiVersion]),
      ...(namespaced && !this.#chance(20) ? ['namespaces', this.#chance(20) ? this.#odd() : this.#pick(['test', 'default'])] : []),
      kind.plural,
      ...(name === undefined ? [] : [name]),
      ...(part ? [part] : []),
    ]
    if (this.#chance(40)) parts.splice(this.#world.random.below(parts.length), 1)
    if (this.#chance(40)) parts.splice(this.#world.random.below(parts.length), 0, this.#odd())
    // Not every odd text is one that can be written in a URL.
    const written = parts.map((text) =>
      this.#chance(30) ? text.replace(/[^\x21-\x7e]|[?#]/g, '') : encodeURIComponent(text.toWellFormed()),
    )
    return `/${written.join('/')}`
  }

  #query(verb: string, safe: boolean): string {
    const query = new URLSearchParams()
    const values = (...list: string[]) => (this.#chance(8) ? this.#odd() : this.#pick(list)).toWellFormed()
    const maybe = (name: string, ...list: string[]) => this.#chance(6) && query.append(name, values(...list))
    maybe('labelSelector', 'a=b', 'a in (b,c),!d', 'x>5', 'x<y', 'a notin ()', ',', '((', 'a==b=c', '!', 'é', 'a>9999999999999999999')
    maybe(
      'fieldSelector',
      'metadata.name=a',
      'metadata.namespace!=test',
      'status.phase=Running',
      'spec.x=1',
      'a',
      '=',
      'metadata.name=a\\,b',
    )
    maybe('resourceVersion', '0', '1', '5', '100000', '-1', '1.5', 'abc')
    maybe('resourceVersionMatch', 'Exact', 'NotOlderThan', 'Other')
    maybe('limit', '1', '2', '500', '-5', 'x')
    maybe('continue', 'abc', Buffer.from('{"v":"meta.k8s.io/v1","rv":3,"start":"test/a"}').toString('base64url'), 'e30')
    maybe('pretty', 'true')
    maybe('includeObject', 'None', 'Object', 'x')
    maybe('gracePeriodSeconds', '0', '-1', '5', 'x')
    maybe('propagationPolicy', 'Foreground', 'Orphan', 'Background', 'x')
    maybe('orphanDependents', 'true', 'false')
    maybe('fieldManager', 'one', 'two', 'x'.repeat(200))
    maybe('fieldValidation', 'Strict', 'Warn', 'Ignore', 'x')
    maybe('force', 'true', 'false')
    maybe('sendInitialEvents', 'true', 'false')
    maybe('allowWatchBookmarks', 'true')
    if (!safe || this.#chance(8)) query.append('dryRun', safe ? values('All', 'None') : 'All')
    if (verb === 'patch' && this.#chance(2)) query.set('fieldManager', this.#pick(['one', 'two']))
    if (verb === 'watch') query.append('watch', values('true', '1', 'True', ''))
    if (verb === 'watch' || this.#chance(10)) query.append('timeoutSeconds', values('1', '2', '0', '-3', 'x'))
    return query.toString()
  }

  #headers(): Record<string, string> {
    const accepts = [
      'application/json',
      'application/yaml',
      'application/json;as=Table;v=v1;g=meta.k8s.io,application/json',
      'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
      'application/json;as=PartialObjectMetadataList;v=v1beta1;g=meta.k8s.io',
      'application/vnd.kubernetes.protobuf',
      'application/vnd.kubernetes.protobuf, */*;q=0.1',
      'application/json;as=Nothing;v=v9;g=x',
      '*/*;q=nonsense',
      ';;;,,,=',
    ]
    return {
      ...(this.#chance(5) && { accept: this.#pick(accepts) }),
      ...(this.#chance(10) && { 'accept-encoding': this.#pick(['gzip', 'gzip;q=0', 'br', 'x']) }),
      ...(this.#chance(20) && { 'user-agent': this.#pick(['kubectl/v1.33', '', '/', 'x'.repeat(1000)]) }),
      ...(this.#chance(30) && { 'impersonate-user': this.#pick(['jane', 'system:node:n', '']) }),
      ...(this.#chance(40) && { 'impersonate-group': 'system:masters' }),
    }
  }

  #payload(verb: string, resource: Resource, name: string): { method: string; type: string; body: string | Uint8Array | undefined } {
    switch (verb) {
      case 'create':
        return { method: 'POST', ...this.#encoded(resource, this.#object(resource, name)) }
      case 'update':
        return { method: 'PUT', ...this.#encoded(resource, this.#object(resource, name)) }
      case 'patch':
        return { method: 'PATCH', ...this.#patch(resource, name) }
      case 'delete':
      case 'deletecollection': {
        const options = { kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds: 0, preconditions: { uid: 'x' }, dryRun: ['All'] }
        const some = Object.fromEntries(Object.entries(options).filter(() => this.#chance(2)))
        return { method: 'DELETE', type: 'application/json', body: this.#chance(2) ? undefined : this.#text(this.#bent(some)) }
      }
      default:
        return { method: 'GET', type: '', body: undefined }
    }
  }

  #object(resource: Resource, name: string): Json {
    const sample = this.#world.samples.get(`${resource.apiVersion} ${resource.kind.kind}`)
    const base: Json = sample && !this.#chance(4) ? structuredClone(sample) : randomObject(resource.schema, this.#world.random, 5)
    const metadata = { ...base.metadata, name }
    if (!sample || this.#chance(3))
      for (const key of ['namespace', 'resourceVersion', 'uid', 'generateName', 'managedFields']) delete metadata[key]
    const whole = { ...base, apiVersion: resource.apiVersion, kind: resource.kind.kind, metadata }
    return this.#chance(3) ? this.#bent(whole) : whole
  }

  #encoded(resource: Resource, object: Json): { type: string; body: string | Uint8Array } {
    if (this.#chance(10)) {
      try {
        const bytes = Buffer.from(encodeProtobuf(resource.schema, object))
        if (this.#chance(2) && bytes.length > 0) bytes[this.#world.random.below(bytes.length)] = this.#world.random.below(256)
        return { type: 'application/vnd.kubernetes.protobuf', body: bytes }
      } catch {
        // What is bent has no such form.
      }
    }
    const types = ['application/json', 'application/json; charset=utf-8', 'application/yaml', 'text/plain', '']
    return { type: this.#chance(10) ? this.#pick(types) : 'application/json', body: this.#text(object) }
  }

  #patch(resource: Resource, name: string): { type: string; body: string } {
    const kind = this.#pick(['json', 'merge', 'strategic', 'apply'] as const)
    if (kind === 'json') {
      const object = this.#object(resource, name)
      const pointers = [
        '',
        '/',
        '/metadata',
        '/metadata/labels/x',
        '/spec',
        '/spec/-',
        '/status',
        '/a/b/c',
        '/~0/~1',
        '/metadata/finalizers/-',
        '/0',
      ]
      const operations = Array.from({ length: 1 + this.#world.random.below(3) }, () => ({
        op: this.#pick(['add', 'replace', 'remove', 'test', 'move', 'copy', 'nonsense']),
        path: this.#chance(3) ? `/${Object.keys(object ?? {}).join('/')}` : this.#pick(pointers),
        from: this.#pick(pointers),
        value: this.#chance(2) ? this.#pick(oddValues) : this.#odd(),
      }))
      return { type: 'application/json-patch+json', body: this.#text(this.#chance(8) ? this.#bent(operations) : operations) }
    }
    const object = this.#object(resource, name)
    const type = { merge: 'merge-patch+json', strategic: 'strategic-merge-patch+json', apply: 'apply-patch+yaml' }[kind]
    return { type: `application/${type}`, body: this.#text(kind === 'strategic' ? this.#directed(object) : object) }
  }

  /** With directives of strategic merge patches strewn in. */
  #directed(value: Json): Json {
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) {
      const items = value.map((item) => this.#directed(item))
      return this.#chance(8) ? [...items, { $patch: this.#pick(['replace', 'delete', 'merge', 'x']) }] : items
    }
    const result: Json = Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, this.#directed(inner)]))
    const [key = 'x'] = Object.keys(value)
    if (this.#chance(15)) result.$patch = this.#pick(['replace', 'delete', 'merge', 7])
    if (this.#chance(20)) result[`$setElementOrder/${key}`] = this.#pick([[], ['a'], [{ name: 'c' }], 5])
    if (this.#chance(20)) result[`$deleteFromPrimitiveList/${key}`] = this.#pick([[], ['a'], {}])
    if (this.#chance(20)) result.$retainKeys = this.#pick([[], [key], 'x'])
    return result
  }

  /** One to three places changed to what does not belong there. */
  #bent(value: Json): Json {
    let result = structuredClone(value)
    for (let i = 0; i <= this.#world.random.below(3); i += 1) result = this.#bentOnce(result)
    return result
  }

  #bentOnce(value: Json): Json {
    if (typeof value !== 'object' || value === null || this.#chance(10)) return this.#chance(2) ? this.#pick(oddValues) : this.#odd()
    if (Array.isArray(value)) {
      if (value.length === 0 || this.#chance(4)) return [...value, ...value, this.#pick(oddValues)]
      const at = this.#world.random.below(value.length)
      return value.with(at, this.#bentOnce(value[at]))
    }
    const keys = Object.keys(value)
    if (keys.length === 0 || this.#chance(6)) return { ...value, [this.#odd()]: this.#pick(oddValues) }
    const key = this.#pick(keys)
    if (this.#chance(8)) return Object.fromEntries(Object.entries(value).filter(([k]) => k !== key))
    return { ...value, [key]: this.#bentOnce(value[key]) }
  }

  #text(value: Json): string {
    const text = JSON.stringify(value) ?? ''
    if (!this.#chance(20)) return text
    const at = this.#world.random.below(text.length + 1)
    return this.#pick([text.slice(0, at), text.slice(0, at) + this.#odd() + text.slice(at), `${text}${text}`, '[['.repeat(2000)])
  }
}
