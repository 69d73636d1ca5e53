// How much a pod asks for and a node offers, as plain numbers: CPU in thousandths, all else in units.

import { millis, units } from '#api/quantity.ts'
import type { Container, Pod, ResourceList } from '#api/types/core-v1.gen.ts'

export type Resources = ReadonlyMap<string, number>

export function resourcesOf(list: ResourceList | undefined): Resources {
  return new Map(Object.entries(list ?? {}).map(([name, text]) => [name, name === 'cpu' ? millis(text) : units(text)]))
}

/**
 * What the scheduler reserves (KEP-753): containers and restartable init containers run together; a plain
 * init container runs with the restartable ones before it, and the pod needs whichever is more.
 */
export function requestsOf(pod: Pod): Resources {
  const { containers, initContainers = [], overhead } = pod.spec
  const sidecars = new Map<string, number>()
  const peak = new Map<string, number>()
  for (const init of initContainers) {
    const own = requests(init)
    if (init.restartPolicy === 'Always') {
      add(sidecars, own)
      raise(peak, sidecars)
    } else {
      const together = new Map(sidecars)
      add(together, own)
      raise(peak, together)
    }
  }
  const total = new Map(sidecars)
  for (const container of containers) add(total, requests(container))
  raise(total, peak)
  if (pod.spec.resources?.requests) for (const [name, amount] of resourcesOf(pod.spec.resources.requests)) total.set(name, amount)
  add(total, resourcesOf(overhead))
  return total
}

/** Limits stand in for requests that are not given. */
const requests = ({ resources }: Pick<Container, 'resources'>): Resources => resourcesOf({ ...resources?.limits, ...resources?.requests })

export function add(total: Map<string, number>, more: Resources, sign: 1 | -1 = 1): void {
  for (const [name, amount] of more) total.set(name, (total.get(name) ?? 0) + sign * amount)
}

function raise(total: Map<string, number>, least: Resources): void {
  for (const [name, amount] of least) total.set(name, Math.max(total.get(name) ?? 0, amount))
}
