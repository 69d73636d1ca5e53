// APIServices: those of this server register themselves, and all tell whether they can be asked.

import { timestamp } from '#api/clock.ts'
import { isStatus } from '#api/errors.ts'
import { availabilityOf } from '#api/kinds/api-service.ts'
import { APIService, CustomResourceDefinition, Endpoints, Namespace, Service } from '#api/kinds/index.ts'
import { same } from '#api/kinds/rules/faults.ts'
import { after, done, mapped, of, type Reconciler } from '#api/queue/reconciler.ts'
import { type Finding, failedDiscovery, findingOf, passed } from '../aggregation/availability.ts'
import { automanaged, builtinServices, customServices } from '../aggregation/local.ts'
import type { Deps } from './deps.ts'

/** Asks a server behind for its discovery document. Throws what kept it from answering. */
export type Probe = (service: APIService, signal: AbortSignal) => Promise<void>

export function localApiServices({ client, informers }: Deps, builtin = builtinServices()): Reconciler {
  const services = informers.of(APIService)
  const definitions = informers.of(CustomResourceDefinition)
  return {
    name: 'api-services-local',
    watches: [
      of(APIService),
      mapped(CustomResourceDefinition, (definition, old) => [
        ...customServices(old ? [definition, old] : [definition]).keys(),
        ...definition.spec.versions.map(({ name }) => `${name}.${definition.spec.group}`),
      ]),
      // Which every cluster has from its first moment.
      mapped(Namespace, () => builtin.keys(), { fieldSelector: 'metadata.name=kube-system' }),
    ],
    async reconcile(name, signal) {
      const wanted = builtin.get(name) ?? customServices(definitions.list()).get(name)
      const there = services.get(name)
      try {
        if (wanted && !there) {
          const metadata = { name, labels: { [automanaged]: wanted.managed } }
          await client.create(APIService, { metadata, spec: wanted.spec }, { signal })
        } else if (there?.metadata.labels?.[automanaged] === 'true') {
          if (!wanted) await client.delete(APIService, { name }, { signal, preconditions: { uid: there.metadata.uid } })
          else if (!same(there.spec, wanted.spec)) await client.update(APIService, { ...there, spec: wanted.spec }, { signal })
        }
      } catch (error) {
        // Somebody else was faster: their write wakes us again.
        if (!isStatus(error, 'AlreadyExists', 'NotFound', 'Conflict')) throw error
      }
      return done
    },
  }
}

const againMs = 30_000
/** While it does not answer: it may have been started a moment ago. */
const soonMs = 2_000

export function availability({ client, informers, clock }: Deps, probe: Probe): Reconciler {
  const apiServices = informers.of(APIService)
  const services = informers.of(Service)
  const endpoints = informers.of(Endpoints)
  const behind = ({ namespace, name }: { namespace?: string; name: string }) =>
    [...apiServices.list()]
      .filter(({ spec: { service } }) => service?.namespace === namespace && service?.name === name)
      .map((s) => s.metadata.name)
  return {
    name: 'api-services-availability',
    watches: [of(APIService), mapped(Service, ({ metadata }) => behind(metadata)), mapped(Endpoints, ({ metadata }) => behind(metadata))],
    async reconcile(name, signal) {
      const found = apiServices.get(name)
      if (!found) return done
      const { service } = found.spec
      const key = service && `${service.namespace}/${service.name}`
      const known = findingOf(found.spec, key ? services.get(key) : undefined, key ? endpoints.get(key) : undefined)
      const finding = known ?? (await asked(probe, found, signal))
      await tell(found, finding, signal)
      if (known) return done
      return after(finding.status === 'True' ? againMs : soonMs)
    },
  }

  async function tell(service: APIService, finding: Finding, signal: AbortSignal): Promise<void> {
    const before = availabilityOf(service)
    if (before?.status === finding.status && before.reason === finding.reason && before.message === finding.message) return
    const lastTransitionTime = before?.status === finding.status ? before.lastTransitionTime : timestamp(clock.now())
    const others = service.status?.conditions?.filter((c) => c.type !== 'Available') ?? []
    const conditions = [...others, { type: 'Available', ...finding, ...(lastTransitionTime && { lastTransitionTime }) }]
    await client.update(APIService, { ...service, status: { conditions } }, { subresource: 'status', signal })
  }
}

async function asked(probe: Probe, service: APIService, signal: AbortSignal): Promise<Finding> {
  try {
    await probe(service, signal)
    return passed
  } catch (error) {
    signal.throwIfAborted()
    return failedDiscovery((error as Error).message)
  }
}
