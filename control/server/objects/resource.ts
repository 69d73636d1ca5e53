// The kinds as the server addresses them: by group, version and plural, each with its schema and its
// place in the store. The list is fixed for built-in kinds; others may come and go later.

import { StatusError } from '#api/errors.ts'
import { apiVersionOf, type Kind, type KubeObject } from '#api/kinds/kind.ts'
import { allVerbs, type KindSpec, resourceName } from '#api/kinds/spec.ts'
import { schemaOf } from '#api/schema/compile.ts'
import type { Published } from '#api/schema/crd/publish.ts'
import type { Struct } from '#api/schema/schema.ts'

/** How one version of a custom resource sees the objects that are kept. Both ways make copies. */
export type View = {
  /** Kept objects, of whatever version and schema, as this version has them now. */
  show(objects: readonly KubeObject[]): Promise<KubeObject[]>
  /** What came in this version, as it is to be kept. */
  keep(object: KubeObject): Promise<KubeObject>
}

export type Resource = {
  readonly spec: KindSpec
  readonly kind: Kind
  readonly schema: Struct
  readonly apiVersion: string
  /** `pods`, `deployments.apps`: for messages. */
  readonly name: string
  /** Keys of its objects in the store start with this. */
  readonly prefix: string
  readonly verbs: readonly string[]
  /** Where these objects are kept in another version: that one, under this one's name. See versions.ts. */
  readonly stored?: Resource
  /** Of a custom resource: how its objects are read, whatever they were written under. */
  readonly view?: View
  /** Of a custom resource: how OpenAPI shows it. */
  readonly published?: Published
}

/** The root of everything that objects are kept under. */
export const registryPrefix = '/registry/'

function resourceOf(spec: KindSpec, kept: (kind: Kind) => Resource): Resource {
  const { kind } = spec
  const schema = schemaOf(kind)
  if (!schema) throw new Error(`the schema table has no ${kind.kind} in ${apiVersionOf(kind)}`)
  const name = resourceName(kind)
  const stored = spec.converts && kept(spec.converts.stored)
  return {
    spec,
    kind,
    schema,
    apiVersion: apiVersionOf(kind),
    name,
    prefix: stored?.prefix ?? `${registryPrefix}${kind.group || 'core'}/${kind.plural}/`,
    verbs: spec.verbs ?? allVerbs,
    ...(stored && { stored: { ...stored, spec: { ...stored.spec, fields: { ...stored.spec.fields, ...spec.fields } }, kind, name } }),
  }
}

export const keyFor = (resource: Resource, namespace: string | undefined, name: string): string =>
  namespace ? `${resource.prefix}${namespace}/${name}` : resource.prefix + name

/** Whether an object is kept in memory only. */
export const isEphemeral = ({ spec }: Resource, namespace: string | undefined): boolean =>
  spec.ephemeralIn !== undefined && namespace === spec.ephemeralIn

/** What a message says an object is: `pods "web" not found`, `deployments.apps "web" …`. */
export function notFound(resource: Resource, name: string): StatusError {
  const { group, plural } = resource.kind
  return new StatusError('NotFound', `${resource.name} ${JSON.stringify(name)} not found`, { name, group, kind: plural })
}

export function conflict(resource: Resource, name: string, why: string): StatusError {
  const { group, plural } = resource.kind
  const message = `Operation cannot be fulfilled on ${resource.name} ${JSON.stringify(name)}: ${why}`
  return new StatusError('Conflict', message, { name, group, kind: plural })
}

export const staleMessage = 'the object has been modified; please apply your changes to the latest version and try again'

export class Resources {
  readonly #byPath = new Map<string, Resource>()
  readonly #byKind = new Map<string, Resource>()
  /** Of kinds that come and go, by who brought them. */
  readonly #brought = new Map<string, readonly Resource[]>()
  #revision = 0

  constructor(specs: readonly KindSpec[]) {
    for (const spec of specs) this.#add(resourceOf(spec, (kind) => this.of(kind)))
  }

  #add(resource: Resource): void {
    this.#byPath.set(`${resource.apiVersion}/${resource.kind.plural}`, resource)
    this.#byKind.set(`${resource.apiVersion}/${resource.kind.kind}`, resource)
  }

  /** Changes with what is served. */
  get revision(): number {
    return this.#revision
  }

  /** All that `owner` brings from now on, in place of what it brought before. */
  set(owner: string, resources: readonly Resource[]): void {
    for (const resource of this.#brought.get(owner) ?? []) {
      this.#byPath.delete(`${resource.apiVersion}/${resource.kind.plural}`)
      this.#byKind.delete(`${resource.apiVersion}/${resource.kind.kind}`)
    }
    this.#brought.set(owner, resources)
    if (resources.length === 0) this.#brought.delete(owner)
    for (const resource of resources) this.#add(resource)
    this.#revision += 1
  }

  /** `apiVersion` as in objects, e.g. `apps/v1`. */
  at(apiVersion: string, plural: string): Resource | undefined {
    return this.#byPath.get(`${apiVersion}/${plural}`)
  }

  /** By the kind that objects name, e.g. `apps/v1` and `Deployment`. */
  named(apiVersion: string, kind: string): Resource | undefined {
    return this.#byKind.get(`${apiVersion}/${kind}`)
  }

  of(kind: Kind): Resource {
    const found = this.named(apiVersionOf(kind), kind.kind)
    if (!found) throw new StatusError('NotFound', 'the server could not find the requested resource')
    return found
  }

  all(): Resource[] {
    return [...this.#byPath.values()]
  }

  /** All objects once: without the versions that are not the one kept, unless that one is not served. */
  kept(): Resource[] {
    const found = new Map<string, Resource>()
    for (const resource of this.all()) if (!resource.stored || !found.has(resource.prefix)) found.set(resource.prefix, resource)
    return [...found.values()]
  }
}

/** An object may leave its kind open, but not be of another. */
export function checkKind(resource: Resource, { kind, apiVersion }: Record<string, unknown>): void {
  const wrongKind = kind !== undefined && kind !== '' && kind !== resource.kind.kind
  const wrongVersion = apiVersion !== undefined && apiVersion !== '' && apiVersion !== resource.apiVersion
  if (!wrongKind && !wrongVersion) return
  const given = wrongVersion ? (typeof apiVersion === 'string' ? apiVersion : JSON.stringify(apiVersion)) : resource.apiVersion
  if (wrongVersion) {
    throw new StatusError(
      'BadRequest',
      `the API version in the data (${given}) does not match the expected API version (${resource.apiVersion})`,
    )
  }
  const version = given.slice(given.indexOf('/') + 1)
  throw new StatusError(
    'BadRequest',
    `${typeof kind === 'string' ? kind : JSON.stringify(kind)} in version ${JSON.stringify(version)} cannot be handled as a ${resource.kind.kind}: no kind ${JSON.stringify(kind)} is accepted here`,
  )
}
