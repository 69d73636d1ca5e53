// Fairness by the FlowSchemas and PriorityLevelConfigurations in the cache.

import type { Clock } from '#api/clock.ts'
import { FlowSchema, PriorityLevelConfiguration } from '#api/kinds/index.ts'
import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import { Fairness } from '#control/fairness/fairness.ts'
import type { WatchCache } from '../cache/watch-cache.ts'
import type { Resources } from '../objects/resource.ts'

/**
 * On one thread more requests at a time make nothing faster; what they do is hold memory, up to 3 MiB
 * of body each. Enough to fill the store's shared commits.
 */
const standardSeats = 100

type Deps = { cache: WatchCache; resources: Resources; clock: Clock; seats?: number }

export function followedFairness({ cache, resources, clock, seats = standardSeats }: Deps): Fairness {
  const fairness = new Fairness({ seats, clock, soon: setImmediate })
  const all = <T extends KubeObject>(kind: Kind<T>): T[] => {
    const resource = resources.of(kind)
    return [...cache.of(resource).under(resource.prefix)].map((item) => item.object as T)
  }
  const read = () => ({ schemas: all(FlowSchema), levels: all(PriorityLevelConfiguration) })
  const prefixes = [FlowSchema, PriorityLevelConfiguration].map((kind) => resources.of(kind).prefix)
  cache.onChange(({ prefix }) => {
    if (prefixes.includes(prefix)) fairness.changed(read)
  })
  fairness.changed(read)
  return fairness
}
