// Quality of service: what a pod's requests and limits mean in cgroups and to the OOM killer
// (kubernetes pkg/apis/core/v1/helper/qos, pkg/kubelet/cm, pkg/kubelet/qos).

import { millis, units } from '#api/quantity.ts'
import type { Container, Pod, PodQOSClass } from '#api/types/core-v1.gen.ts'
import type { Resources } from '../../runtime/runtime.ts'

const counted = ['cpu', 'memory'] as const

export function qosClass(pod: Pod): PodQOSClass {
  const containers = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]
  let any = false
  let guaranteed = true
  for (const { resources } of containers) {
    for (const name of counted) {
      const limit = millis(resources?.limits?.[name])
      const request = resources?.requests?.[name] === undefined ? limit : millis(resources.requests[name])
      if (limit > 0 || request > 0) any = true
      if (limit === 0 || request !== limit) guaranteed = false
    }
  }
  if (!any) return 'BestEffort'
  return guaranteed ? 'Guaranteed' : 'Burstable'
}

/** The pod's cgroup under the agent's parent, as the kubelet lays them out with cgroupfs; a container's is below it, by its id. */
export function cgroupOf(pod: Pod): string {
  const level = { Guaranteed: '', Burstable: 'burstable/', BestEffort: 'besteffort/' }[qosClass(pod)]
  return `kubepods/${level}pod${pod.metadata.uid}`
}

/** Limits of the whole pod: the sum of its containers', where every one of them has one. */
export function podResources(pod: Pod): Resources {
  const sidecars = (pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always')
  const all = [...pod.spec.containers, ...sidecars].map(resourcesOf)
  const sum = (pick: (resources: Resources) => number | undefined) => {
    const values = all.map(pick)
    return values.every((value) => value !== undefined) ? values.reduce((a, b) => a + b, 0) : undefined
  }
  const inits = (pod.spec.initContainers ?? []).map(resourcesOf)
  const memory = sum(({ memoryBytes }) => memoryBytes)
  const quota = sum(({ cpuQuotaMicros }) => cpuQuotaMicros)
  const most = (least: number, pick: (resources: Resources) => number | undefined) => {
    const values = inits.map(pick)
    return values.every((value) => value !== undefined) ? Math.max(least, ...values) : undefined
  }
  const memoryBytes = memory === undefined ? undefined : most(memory, (one) => one.memoryBytes)
  const cpuQuotaMicros = quota === undefined ? undefined : most(quota, (one) => one.cpuQuotaMicros)
  return {
    cpuShares: Math.min(Math.max(MIN_SHARES, ...inits.map((one) => one.cpuShares ?? 0), sum((one) => one.cpuShares) ?? 0), MAX_SHARES),
    ...(cpuQuotaMicros !== undefined && { cpuPeriodMicros: PERIOD_MICROS, cpuQuotaMicros }),
    ...(memoryBytes !== undefined && { memoryBytes }),
  }
}

/** Pods that asked for nothing get what others leave, all of them together. */
export const bestEffort = { cgroup: 'kubepods/besteffort', resources: { cpuShares: 2 } }

/** The kubelet's: a guaranteed pod dies last, a best-effort one first, others by how much of the node they asked for. */
export function oomScoreAdj(pod: Pod, container: Container, nodeMemoryBytes: number): number {
  if ((pod.spec.priority ?? 0) >= SYSTEM_CRITICAL) return -997
  const qos = qosClass(pod)
  if (qos === 'Guaranteed') return -997
  if (qos === 'BestEffort') return 1000
  const request = units(container.resources?.requests?.memory ?? container.resources?.limits?.memory)
  const score = 1000 - Math.floor((1000 * request) / Math.max(nodeMemoryBytes, 1))
  return Math.min(Math.max(score, 3), 999)
}

/** Pods of at least this priority are the node's own. */
const SYSTEM_CRITICAL = 2_000_000_000
const PERIOD_MICROS = 100_000
/** The kernel's least: cpu.shares, and a quota in microseconds. */
const MIN_SHARES = 2
const MAX_SHARES = 262_144
const MIN_QUOTA_MICROS = 1_000

export function resourcesOf(container: Container): Resources {
  const { limits = {}, requests = {} } = container.resources ?? {}
  const cpuLimit = millis(limits.cpu)
  const cpuRequest = requests.cpu === undefined ? cpuLimit : millis(requests.cpu)
  const memory = units(limits.memory)
  return {
    cpuShares: Math.min(Math.max(Math.floor((cpuRequest * 1024) / 1000), MIN_SHARES), MAX_SHARES),
    ...(cpuLimit > 0 && {
      cpuPeriodMicros: PERIOD_MICROS,
      cpuQuotaMicros: Math.max(Math.floor((cpuLimit * PERIOD_MICROS) / 1000), MIN_QUOTA_MICROS),
    }),
    ...(memory > 0 && { memoryBytes: memory }),
  }
}
