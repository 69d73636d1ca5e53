// Follows the CustomResourceDefinitions as the server itself: brings together what knows them
// (control/extensions) and what serves them.

import type { Client } from '#api/client/client.ts'
import type { Clock } from '#api/clock.ts'
import { CustomResourceDefinition } from '#api/kinds/index.ts'
import { builtinKinds } from '#api/kinds/registry.ts'
import type { Log } from '#api/log.ts'
import type { Admission } from '#control/admission/admission.ts'
import { serverUser } from '#control/auth/user.ts'
import type { Evaluator } from '#control/cel/evaluator.ts'
import { Definitions } from '#control/extensions/definitions.ts'
import { definitionRules } from '#control/extensions/rule-faults.ts'
import type { CallWebhook } from '#control/extensions/webhook.ts'
import type { WatchCache } from '../cache/watch-cache.ts'
import type { Core } from '../objects/core.ts'
import type { Resources } from '../objects/resource.ts'
import { customResources } from './resources.ts'

type Deps = {
  core: Core
  cache: WatchCache
  resources: Resources
  client: Client
  clock: Clock
  log: Log
  rules: Evaluator
  callWebhook: CallWebhook
}

export type CustomDefinitions = {
  admission: Admission
  /** Resolves once all that were established before are served. */
  start(): Promise<void>
  close(): Promise<void>
}

export function customDefinitions({ core, cache, resources, client, clock, log, rules, callWebhook }: Deps): CustomDefinitions {
  const own = resources.of(CustomResourceDefinition)
  const definitions = new Definitions({
    client,
    clock,
    log,
    offers: customResources({ core, cache, resources, user: serverUser, callWebhook, rules }),
    all: () => [...cache.of(own).under(own.prefix)].map((item) => item.object as CustomResourceDefinition),
    builtin: builtinKinds.map(({ kind }) => kind),
  })
  cache.onChange((resource, { type, item, previous }) => {
    if (resource.published && type === 'DELETED') definitions.emptied(resource.name)
    if (resource.prefix === own.prefix)
      definitions.heard(
        item.object as CustomResourceDefinition,
        previous?.object as CustomResourceDefinition | undefined,
        type === 'DELETED',
      )
  })
  return {
    admission: definitionRules(rules),
    start: () => definitions.start(),
    close: () => definitions.close(),
  }
}
