// Quotas over what the cache holds: told of every change, and their status written.

import type { Client } from '#api/client/client.ts'
import type { Clock } from '#api/clock.ts'
import { ResourceQuota } from '#api/kinds/index.ts'
import type { Log } from '#api/log.ts'
import type { Admission } from '#control/admission/admission.ts'
import { type Held, Quotas } from '#control/admission/quota/quota.ts'
import { QuotaStatus } from '#control/admission/quota/status.ts'
import type { WatchCache } from '../cache/watch-cache.ts'
import type { Resources } from '../objects/resource.ts'

type Deps = { cache: WatchCache; resources: Resources; client: Client; clock: Clock; log: Log }

export type ResourceQuotas = { admission: Admission; close(): Promise<void> }

export function resourceQuotas({ cache, resources, client, clock, log }: Deps): ResourceQuotas {
  const own = resources.of(ResourceQuota)
  const status = new QuotaStatus({ client, clock, log, used: (namespace, name) => quotas.used(namespace, name) })
  const quotas = new Quotas({
    quotas: (namespace) => (cache.of(own).size === 0 ? [] : under(namespace)),
    objects,
    changed: (namespace, names) => status.changed(namespace, names),
  })
  let seen = { revision: resources.revision, collection: cache.of(own) }
  cache.onChange((resource, { type, item }) => quotas.observe(resource.kind, item.object, type === 'DELETED'))
  for (const quota of cache.of(own).under(own.prefix)) status.changed(quota.object.metadata.namespace ?? '', [quota.object.metadata.name])
  status.start()
  return {
    admission: {
      ...quotas.admission,
      validate(review) {
        const now = { revision: resources.revision, collection: cache.of(own) }
        // Kinds came or went, or the cache started over: not every object was told.
        if (now.revision !== seen.revision || now.collection !== seen.collection) quotas.forget()
        seen = now
        return quotas.admission.validate?.(review)
      },
    },
    close: () => status.close(),
  }

  function* under(namespace: string): Generator<ResourceQuota> {
    for (const item of cache.of(own).under(`${own.prefix}${namespace}/`)) yield item.object as ResourceQuota
  }

  function* objects(namespace: string): Generator<Held> {
    for (const resource of resources.kept()) {
      if (!resource.kind.namespaced) continue
      const { kind } = resource
      for (const { object } of cache.of(resource).under(`${resource.prefix}${namespace}/`)) yield { kind, object }
    }
  }
}
