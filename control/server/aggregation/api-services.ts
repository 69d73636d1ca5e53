// The servers behind APIServices: which requests are theirs, how they are reached, and what they offer.
// The caller has been let in here; who that is they are told in headers, under a certificate that only
// this server has.

import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { StatusError } from '#api/errors.ts'
import { availabilityOf } from '#api/kinds/api-service.ts'
import { APIService } from '#api/kinds/index.ts'
import type { Backend } from '#api/streaming/backend.ts'
import { readWithin } from '#api/streaming/bounded.ts'
import type { APIResource } from '#api/types/meta-v1.gen.ts'
import { masters, type User } from '#control/auth/user.ts'
import type { KeyPair } from '#control/pki/authority.ts'
import type { WatchCache } from '../cache/watch-cache.ts'
import type { Core } from '../objects/core.ts'
import type { Resources } from '../objects/resource.ts'
import { serviceDestination } from '../routes/destination.ts'
import { derived } from '../views/derived.ts'

type Deps = { core: Core; cache: WatchCache; resources: Resources; proxyClient: () => KeyPair }

/** What a server told when it was last asked. */
type Learned = { spec: APIService['spec']; resources: readonly APIResource[]; openapi: string | undefined }

const answerWithinMs = 5_000
/** Discovery documents; the largest of known servers have some hundred kilobytes. */
const mostDocument = 16 * 1024 * 1024
const aggregator: User = { name: 'system:kube-aggregator', groups: [masters] }

export class Aggregator {
  readonly #deps: Deps
  /** By group and version. */
  readonly #services: () => ReadonlyMap<string, APIService>
  readonly #learned = new Map<string, Learned>()
  #revision = 0

  constructor(deps: Deps) {
    this.#deps = deps
    this.#services = derived(deps, [APIService], (all: APIService[]) => {
      this.#revision += 1
      return new Map(all.filter(({ spec }) => spec.service).map((each) => [`${each.spec.group ?? ''}/${each.spec.version ?? ''}`, each]))
    })
  }

  /** Changes with what they offer. */
  get revision(): number {
    this.#services()
    return this.#revision
  }

  get all(): Iterable<APIService> {
    return this.#services().values()
  }

  /** The one whose this group version is; undefined: it is ours. */
  at(groupVersion: string): APIService | undefined {
    const services = this.#services()
    return services.size > 0 ? services.get(groupVersion) : undefined
  }

  learned({ metadata: { name }, spec }: APIService): Learned | undefined {
    const found = this.#learned.get(name)
    return found?.spec === spec || JSON.stringify(found?.spec) === JSON.stringify(spec) ? found : undefined
  }

  /** For a request of `user`. Throws ServiceUnavailable while it cannot be asked. */
  async backend(service: APIService, user: User, path: string): Promise<Backend> {
    if (availabilityOf(service)?.status !== 'True') throw unavailable()
    try {
      return await this.#reach(service, user, path)
    } catch (cause) {
      throw unavailable(cause)
    }
  }

  async #reach({ spec }: APIService, user: User, path: string): Promise<Backend> {
    const { namespace, name = '', port = 443 } = spec.service ?? {}
    const { host, port: at } = await serviceDestination(this.#deps.core, { namespace, name }, String(port))
    const servername = `${name}.${namespace}.svc`
    return {
      host,
      port: at,
      path,
      tls: {
        ...this.#deps.proxyClient(),
        servername,
        ...(spec.caBundle && { ca: Buffer.from(spec.caBundle, 'base64') }),
        ...(spec.insecureSkipTLSVerify && { rejectUnauthorized: false }),
      },
      headers: { host: servername, ...headersOf(user) },
    }
  }

  /** Asks for the discovery document, and remembers it. Throws where there is none to be had. */
  async probe(service: APIService, signal: AbortSignal): Promise<void> {
    const { group = '', version = '' } = service.spec
    const path = `/apis/${group}/${version}`
    const list = (await this.#get(service, path, signal)) as { resources?: APIResource[] }
    const third = (await this.#get(service, '/openapi/v3', signal).catch(() => undefined)) as
      | { paths?: Record<string, { serverRelativeURL?: string }> }
      | undefined
    const openapi = third?.paths?.[`apis/${group}/${version}`]?.serverRelativeURL
    const before = this.learned(service)
    this.#learned.set(service.metadata.name, { spec: service.spec, resources: list.resources ?? [], openapi })
    if (JSON.stringify(before?.resources) !== JSON.stringify(list.resources) || before?.openapi !== openapi) this.#revision += 1
  }

  async #get(service: APIService, path: string, signal: AbortSignal): Promise<unknown> {
    const backend = await this.#reach(service, aggregator, path)
    const url = `https://${backend.host}:${backend.port}${path}`
    const failed = (why: string, cause?: unknown) => new Error(`failing or missing response from ${url}: ${why}`, { cause })
    const within = AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)])
    const { host, port, tls, headers } = backend
    const outgoing = httpsRequest({
      host,
      port,
      path,
      headers: { ...headers, accept: 'application/json' },
      ...tls,
      agent: false,
      signal: within,
    })
    outgoing.end()
    try {
      const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
      const body = await readWithin(answer, mostDocument)
      if (answer.statusCode !== 200) throw failed(`bad status from ${url}: ${answer.statusCode}`)
      return JSON.parse(body.toString())
    } catch (cause) {
      throw failed(`Get ${JSON.stringify(url)}: ${(cause as Error).message}`, cause)
    }
  }
}

const unavailable = (cause?: unknown) =>
  new StatusError('ServiceUnavailable', 'the server is currently unable to handle the request: service unavailable', undefined, { cause })

function headersOf({ name, uid, groups, extra = {} }: User): Record<string, string | string[]> {
  return {
    'x-remote-user': name,
    ...(uid && { 'x-remote-uid': uid }),
    'x-remote-group': [...groups],
    ...Object.fromEntries(
      Object.entries(extra).map(([key, values]) => [`x-remote-extra-${encodeURIComponent(key.toLowerCase())}`, [...values]]),
    ),
  }
}
