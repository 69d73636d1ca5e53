// Puts the parts of the API server together, short of listening.

import { randomInt } from 'node:crypto'
import type { Cidr } from '#api/cidr.ts'
import type { Clock } from '#api/clock.ts'
import { ConfigMap, Endpoints, LimitRange, Pod, PriorityClass, Service, StorageClass } from '#api/kinds/index.ts'
import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import { builtinKinds } from '#api/kinds/registry.ts'
import { defaultClassOf } from '#api/kinds/rules/default-class.ts'
import type { Log } from '#api/log.ts'
import type { ServedKind } from '#api/schema/openapi/paths.ts'
import type { Admission, Review } from '#control/admission/admission.ts'
import { certificateRequests } from '#control/admission/certificate-request.ts'
import type { Find } from '#control/admission/find.ts'
import { limitRanges } from '#control/admission/limit-range.ts'
import { namespaceLifecycle } from '#control/admission/namespace.ts'
import { nodeRestriction } from '#control/admission/node-restriction.ts'
import { podPriority, podTolerations } from '#control/admission/pod-defaults.ts'
import { rbacEscalation } from '#control/admission/rbac-escalation.ts'
import { runtimeClasses } from '#control/admission/runtime-class.ts'
import { serviceAccounts } from '#control/admission/service-account.ts'
import { type OwnAddresses, serviceAddresses } from '#control/admission/service-addresses.ts'
import { storageClasses } from '#control/admission/storage-class.ts'
import { authenticator } from '#control/auth/authenticator.ts'
import { healthAuthorizer, mastersAuthorizer } from '#control/auth/authorizer.ts'
import { nodeAuthorizer } from '#control/auth/node-authorizer.ts'
import { rbacAuthorizer } from '#control/auth/rbac.ts'
import { type Revoked, revocations, revokedCertificates } from '#control/auth/revoked.ts'
import { openTokens } from '#control/auth/tokens.ts'
import { serverUser, type User } from '#control/auth/user.ts'
import { Evaluator } from '#control/cel/evaluator.ts'
import { openWebhooks } from '#control/extensions/webhook.ts'
import type { Fairness } from '#control/fairness/fairness.ts'
import type { Pki } from '#control/pki/pki.ts'
import type { Store } from '../store/store.ts'
import { Aggregator } from './aggregation/api-services.ts'
import { aggregatedPages, aggregatedRoute } from './aggregation/route.ts'
import { WatchCache } from './cache/watch-cache.ts'
import { customDefinitions } from './custom/definitions.ts'
import { type App, createApp } from './http/app.ts'
import { type Aggregated, Discovery, subresourcesOf } from './http/discovery.ts'
import { discoveryPages } from './http/discovery-pages.ts'
import type { ServerStage } from './http/env.ts'
import { ResourceHandler } from './http/handler.ts'
import { LoopWatch } from './http/loop-watch.ts'
import { openapiPages } from './http/openapi.ts'
import { healthPages, serverMetrics } from './http/pages.ts'
import { authentication } from './http/stages/authentication.ts'
import { authorization } from './http/stages/authorization.ts'
import { turns } from './http/stages/fairness.ts'
import { resources as resourceStage } from './http/stages/resources.ts'
import { inProcessClient } from './in-process.ts'
import { Core } from './objects/core.ts'
import { keyFor, Resources } from './objects/resource.ts'
import { generateName } from './objects/write.ts'
import type { AgentTls } from './routes/agent.ts'
import { componentStatusRoute } from './routes/component-statuses.ts'
import { admitted, type Creators, creatorRoute } from './routes/creators.ts'
import { serviceDestination } from './routes/destination.ts'
import type { Dial } from './routes/dial.ts'
import { joinPages } from './routes/join.ts'
import { logRoute } from './routes/log.ts'
import { metricsRoute } from './routes/metrics.ts'
import { podCreators } from './routes/pod-writes.ts'
import { proxyRoute } from './routes/proxy.ts'
import { reviewResources, reviewRoute } from './routes/reviews.ts'
import { scaleRoute } from './routes/scale.ts'
import { tokenCreators } from './routes/token.ts'
import { dynamicAdmission } from './views/dynamic-admission.ts'
import { followedFairness } from './views/flow-control.ts'
import { PodsByNode } from './views/node-facts.ts'
import { resourceQuotas } from './views/quotas.ts'
import { cachedRoles } from './views/roles.ts'
import { Usage } from './views/usage.ts'

export type AssemblyOptions = {
  store: Store
  pki: Pki
  clock: Clock
  log: Log
  /** One of each family that services can have, the cluster's own first. */
  serviceCidrs: readonly Cidr[]
  /** What this server itself goes by. */
  identity?: { names: readonly string[]; addresses: readonly string[] }
  staticTokens?: { token: string; user: User }[]
  /** Tests are sent elsewhere. */
  dial?: Dial
  /** Seats for requests that are served at a time. */
  seats?: number
}

export type Assembly = {
  app: App
  core: Core
  creators: Creators
  /** Stages that upgraded connections pass, too. */
  authentication: ServerStage
  authorization: ServerStage
  revoked: Revoked
  /** Calls back whenever the list of revoked certificates is another. */
  onRevoked(run: () => void): void
  fairness: Fairness
  agentTls: AgentTls
  usage: Usage
  aggregator: Aggregator
  /** From now on the server says that it is ready. */
  ready(): void
  close(): Promise<void>
}

export async function assemble({
  store,
  pki,
  clock,
  log,
  serviceCidrs,
  identity,
  staticTokens = [],
  seats,
  dial,
}: AssemblyOptions): Promise<Assembly> {
  const resources = new Resources(builtinKinds)
  const cache = new WatchCache({ store, log, clock })
  await cache.start(resources.kept())
  const admission: Admission[] = []
  const core = new Core({ store, cache, resources, admission, clock, dial })
  const peek = (kind: Kind, ref: { namespace?: string; name: string }) => {
    const resource = resources.of(kind)
    return cache.of(resource).get(keyFor(resource, ref.namespace, ref.name))?.object
  }
  const find: Find = async <T extends KubeObject>(kind: Kind<T>, ref: { namespace?: string; name: string }) => {
    await cache.current()
    return peek(kind, ref) as T | undefined
  }
  const addresses = serviceAddresses({ cidrs: serviceCidrs, random: Math.random, own: () => ownAddresses(peek) })
  follow(cache, resources, (...seen) => addresses.observe(...seen))
  const suffix = () => generateName('')
  const classes = resources.of(PriorityClass)
  const storage = resources.of(StorageClass)
  const ranges = resources.of(LimitRange)
  const rangesIn = (namespace: string) =>
    [...cache.of(ranges).under(`${ranges.prefix}${namespace}/`)].map(({ object }) => object as LimitRange)
  admission.push(
    namespaceLifecycle({ find }),
    serviceAccounts({ find, clock, suffix }),
    podPriority({ find, classes: () => [...cache.of(classes).under(classes.prefix)].map((item) => item.object as PriorityClass) }),
    podTolerations,
    runtimeClasses({ find }),
    storageClasses({
      find,
      standard: () => defaultClassOf([...cache.of(storage).under(storage.prefix)].map((item) => item.object as StorageClass)),
    }),
    limitRanges({ ranges: rangesIn }),
    addresses.admission,
    nodeRestriction,
  )

  const tokens = openTokens({ key: pki.serviceAccountKey, now: () => clock.now() })
  const revoked = revokedCertificates(peek)
  const authenticates = authenticator({ tokens, staticTokens, peek, revoked, now: () => clock.now() })
  const pods = resources.of(Pod)
  const facts = new PodsByNode({ cache, pods, peek })
  const roles = cachedRoles({ cache, resources })
  const authorizers = [mastersAuthorizer, healthAuthorizer, nodeAuthorizer(facts), rbacAuthorizer(roles)]
  admission.push(rbacEscalation({ roles, authorizers }), certificateRequests({ authorizers }))
  const agentTls: AgentTls = {
    ca: pki.agents.authority.cert,
    get cert() {
      return pki.agents.client.cert
    },
    get key() {
      return pki.agents.client.key
    },
  }
  const creators = admitted({ ...podCreators({ core, clock }), ...tokenCreators({ core, tokens }) }, core)
  const fairness = followedFairness({ cache, resources, clock, ...(seats && { seats }) })
  const metrics = serverMetrics({ cache, resources })
  const loop = new LoopWatch({ now: () => performance.now(), worked, log, observe: (seconds) => metrics.held(seconds) })
  loop.start()
  const rules = new Evaluator({ clock, log })
  const webhooks = openWebhooks({ resolve: (service) => serviceDestination(core, service, String(service.port)) })
  const usage = new Usage({ core, tls: agentTls, clock })
  const client = inProcessClient({ core, user: serverUser, creators, agentTls, usage })
  const custom = customDefinitions({ core, cache, resources, client, clock, log, rules, callWebhook: webhooks.call })
  let isReady = false
  // A webhook that nobody runs yet must not keep the server from starting.
  const starting = ({ user }: Review) => !isReady && user === serverUser
  admission.push(
    custom.admission,
    ...dynamicAdmission({ cache, resources, client, find, call: webhooks.call, evaluator: rules, authorizers, starting, log }),
  )
  await custom.start()
  const quotas = resourceQuotas({ cache, resources, client, clock, log })
  // Last: what it promises, nobody refuses any more.
  admission.push(quotas.admission)
  const checks = [
    { name: 'ping', healthy: () => true },
    { name: 'store', healthy: () => store.trouble === undefined, reason: () => store.trouble, heals: true as const },
    { name: 'poststarthook/bootstrap', healthy: () => isReady },
  ]
  const aggregator = new Aggregator({ core, cache, resources, proxyClient: () => pki.frontProxy.client })
  const handler = new ResourceHandler({ core, clock, randomTimeout: () => randomInt(1800, 3600) })
  const stages = {
    authentication: authentication({ authenticator: authenticates, authorizers, log, now: () => clock.monotonic() }),
    authorization: authorization(authorizers),
  }
  const app = createApp({
    open: joinPages({ pki, peek, revoked, server: identity ?? { names: [], addresses: [] }, serviceCidrs, fairness, clock, log }),
    ...stages,
    fairness: turns({
      fairness,
      resourceOf: ({ apiVersion, plural }) => resources.at(apiVersion, plural),
      sizeOf: (resource) => cache.sizeOf(resource),
    }),
    resources: resourceStage({
      core,
      handler,
      proxies: [aggregatedRoute(aggregator), proxyRoute({ core, tls: agentTls })],
      routes: [
        reviewRoute({ authorizers, authenticator: authenticates, roles }),
        creatorRoute(creators),
        scaleRoute(core, clock),
        componentStatusRoute({ handler, checks: checks.filter(({ name }) => name === 'store'), revision: () => cache.revision }),
        metricsRoute({ core, handler, usage }),
        logRoute({ core, tls: agentTls }),
      ],
    }),
    aggregated: aggregatedPages(aggregator),
    pages: [
      healthPages(checks),
      metrics.pages,
      openapiPages({
        offers: () => offersOf(resources),
        revision: () => resources.revision,
        aggregated: () => aggregatedDocuments(aggregator),
      }),
      discoveryPages(new Discovery(resources, reviewResources, aggregatedVersions(aggregator))),
    ],
    log,
    began: (what) => loop.began(what),
    observe: (seen) => metrics.observe(seen),
    now: () => clock.monotonic(),
  })
  return {
    app,
    core,
    creators,
    ...stages,
    revoked,
    onRevoked(run) {
      const resource = resources.of(ConfigMap)
      const key = keyFor(resource, revocations.namespace, revocations.name)
      cache.onChange((changed, change) => {
        // Told of before the cache shows it.
        if (changed === resource && change.item.key === key) setImmediate(run)
      })
    },
    fairness,
    agentTls,
    usage,
    aggregator,
    ready() {
      isReady = true
    },
    async close() {
      loop.close()
      await quotas.close()
      await custom.close()
      await rules.close()
      webhooks.close()
      await cache.close()
    },
  }
}

/** Milliseconds. */
const worked = (): number => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

const aggregatedVersions = (aggregator: Aggregator): Aggregated => ({
  get revision() {
    return aggregator.revision
  },
  versions: () =>
    [...aggregator.all].map((service) => {
      const { group = '', version = '', groupPriorityMinimum: priority } = service.spec
      return { group, version, priority, resources: aggregator.learned(service)?.resources }
    }),
})

const aggregatedDocuments = (aggregator: Aggregator): ReadonlyMap<string, string> =>
  new Map(
    [...aggregator.all].flatMap((service) => {
      const url = aggregator.learned(service)?.openapi
      return url ? [[`apis/${service.spec.group}/${service.spec.version}`, url] as const] : []
    }),
  )

const offersOf = (resources: Resources): ServedKind[] => [
  ...resources
    .all()
    .map(({ kind, verbs, spec, published }) => ({ kind, verbs, subresources: subresourcesOf(spec), ...(published && { published }) })),
  ...reviewResources.map((kind) => ({ kind, verbs: ['create'] })),
]

/** As they are published: the service of the names, and the endpoints of the server. */
function ownAddresses(peek: (kind: Kind, ref: { namespace?: string; name: string }) => KubeObject | undefined): OwnAddresses {
  const names = peek(Service, { namespace: 'kube-system', name: 'kube-dns' }) as Service | undefined
  const server: Endpoints | undefined = peek(Endpoints, { namespace: 'default', name: 'kubernetes' })
  const [subset] = server?.subsets ?? []
  const [address, port] = [subset?.addresses?.[0]?.ip, subset?.ports?.[0]?.port]
  return { names: names?.spec.clusterIPs ?? [], ...(address && port && { server: { address, port } }) }
}

/** Tells of every service: those that are there, then every change. */
function follow(
  cache: WatchCache,
  resources: Resources,
  observe: (service: Service, previous: Service | undefined, gone: boolean) => void,
): void {
  const services = resources.of(Service)
  for (const item of cache.of(services).under(services.prefix)) observe(item.object as Service, undefined, false)
  cache.onChange((resource, { type, item, previous }) => {
    if (resource.prefix === services.prefix) observe(item.object as Service, previous?.object as Service | undefined, type === 'DELETED')
  })
}
