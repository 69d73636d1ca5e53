// Resizing the containers of a pod in place: what the subresource may change, and how
// (kubernetes pkg/apis/core/validation ValidatePodResize).

import { isTerminal } from '../../pods.ts'
import { compareQuantity } from '../../quantity.ts'
import type { Container, PodSpec, Pod as PodType } from '../../types/core-v1.gen.ts'
import { type Faults, same } from './faults.ts'
import { qosClass } from './pod-qos.ts'

const resizable = ['cpu', 'memory']

/** The pod as it was, with the resources that are asked for. */
export function resized(asked: PodSpec, was: PodSpec): PodSpec {
  const each = (list: Container[] | undefined, from: Container[] | undefined) =>
    list?.map((container) => ({
      ...container,
      resources: from?.find(({ name }) => name === container.name)?.resources ?? container.resources,
    }))
  return {
    ...was,
    ...(was.initContainers && { initContainers: each(was.initContainers, asked.initContainers) }),
    containers: each(was.containers, asked.containers) ?? [],
  }
}

export function validateResize(next: PodType, previous: PodType, faults: Faults): void {
  if (isTerminal(previous)) {
    faults.forbidden('', `pod is in a terminal phase (${previous.status?.phase}): it cannot be resized`)
  }
  const was = previous.status?.qosClass ?? qosClass(previous.spec)
  if (qosClass(next.spec) !== was)
    faults.invalid('spec', qosClass(next.spec), `Pod QOS Class may not change as a result of resizing (it is ${was})`)
  for (const [i, container] of (next.spec.initContainers ?? []).entries()) {
    const before = previous.spec.initContainers?.[i]
    if (!before || same(container.resources, before.resources)) continue
    if (container.restartPolicy !== 'Always')
      faults.forbidden(`spec.initContainers[${i}].resources`, 'only restartable init containers can be resized')
    else validateContainer(`spec.initContainers[${i}]`, container, before, previous, faults)
  }
  for (const [i, container] of next.spec.containers.entries()) {
    const before = previous.spec.containers[i]
    if (before) validateContainer(`spec.containers[${i}]`, container, before, previous, faults)
  }
}

function validateContainer(at: string, next: Container, previous: Container, pod: PodType, faults: Faults): void {
  for (const list of ['limits', 'requests'] as const) {
    const [now, then] = [next.resources[list] ?? {}, previous.resources[list] ?? {}]
    for (const name of new Set([...Object.keys(now), ...Object.keys(then)])) {
      if (now[name] === then[name]) continue
      if (!resizable.includes(name)) faults.forbidden(`${at}.resources.${list}`, 'only cpu and memory resources are mutable')
      else if (now[name] === undefined) faults.forbidden(`${at}.resources.${list}`, `resource ${list} cannot be removed (${name})`)
    }
  }
  const restarts = (name: string) => next.resizePolicy?.some((p) => p.resourceName === name && p.restartPolicy === 'RestartContainer')
  const [now, then] = [next.resources.limits?.memory, previous.resources.limits?.memory]
  if (now !== undefined && then !== undefined && compareQuantity(now, then) < 0 && !restarts('memory')) {
    faults.forbidden(`${at}.resources.limits`, 'memory limits cannot be decreased unless resizePolicy is RestartContainer')
  }
  if (
    pod.spec.restartPolicy === 'Never' &&
    resizable.some((name) => restarts(name) && !same(amounts(next, name), amounts(previous, name)))
  ) {
    faults.invalid(`${at}.resizePolicy`, 'RestartContainer', 'must be NotRequired where the pod is not restarted: a resize would need it')
  }
}

const amounts = ({ resources }: Container, name: string) => [resources.limits?.[name], resources.requests?.[name]]
