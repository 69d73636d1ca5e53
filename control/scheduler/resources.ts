// How much a pod asks for and a node offers, as plain numbers: CPU in thousandths, all else in units.

import { millis, units } from '#api/quantity.ts'
import type { Container, ContainerStatus, Pod, ResourceList } from '#api/types/core-v1.gen.ts'

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
  const running = new Map([...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])].map((c) => [c.name, c]))
  const infeasible = pod.status?.conditions?.some(({ type, reason }) => type === 'PodResizePending' && reason === 'Infeasible') ?? false
  const requests = (container: Container) => requestsIn(container, running.get(container.name), infeasible)
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

/** Limits stand in for requests that are not given. A container that is resized keeps what it has until its node has taken it away. */
function requestsIn({ resources }: Pick<Container, 'resources'>, status: ContainerStatus | undefined, infeasible: boolean): Resources {
  const asked = resourcesOf({ ...resources?.limits, ...resources?.requests })
  if (!status?.resources?.requests) return asked
  const running = resourcesOf(status.resources.requests)
  // It will never have what its node cannot give.
  if (infeasible) return running
  const most = new Map(asked)
  raise(most, running)
  return most
}

export function add(total: Map<string, number>, more: Resources, sign: 1 | -1 = 1): void {
  for (const [name, amount] of more) total.set(name, (total.get(name) ?? 0) + sign * amount)
}

function raise(total: Map<string, number>, least: Resources): void {
  for (const [name, amount] of least) total.set(name, Math.max(total.get(name) ?? 0, amount))
}
