// Quality of service: what a pod's requests and limits mean in cgroups and to the OOM killer
// (kubernetes pkg/apis/core/v1/helper/qos, pkg/kubelet/cm, pkg/kubelet/qos).

import { millis, units } from '#api/quantity.ts'
import type { Container, Pod, PodQOSClass } from '#api/types/core-v1.gen.ts'
import type { Resources } from '../runtime/runtime.ts'

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

/** Under the agent's cgroup parent, as the kubelet lays it out with cgroupfs. */
export function cgroupOf(pod: Pod, id: string): string {
  const level = { Guaranteed: '', Burstable: 'burstable/', BestEffort: 'besteffort/' }[qosClass(pod)]
  return `kubepods/${level}pod${pod.metadata.uid}/${id}`
}

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
