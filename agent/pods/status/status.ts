// A pod's status from what its containers are: a pure function, in the kubelet's wording
// (kubernetes pkg/kubelet/kubelet_pods.go, pkg/kubelet/status/generate.go).

import { timestamp } from '#api/clock.ts'
import { isTerminal } from '#api/pods.ts'
import type { ContainerState, ContainerStatus, Pod, PodPhase, PodStatus } from '#api/types/core-v1.gen.ts'
import { type ContainerRecord, type ContainerRun, healthOf, ID_PREFIX, isChanged, isMain, isSidecarSlot } from '../containers/record.ts'
import { qosClass } from '../resources/qos.ts'
import { lasts } from '../resources/resize.ts'
import { conditionsOf } from './conditions.ts'
import type { Situation } from './situation.ts'

const isOver = (phase: PodPhase | undefined): boolean => isTerminal({ status: { phase } })

export function statusOf(situation: Situation): PodStatus {
  const { pod, records, ips, hostIPs, startedAt, failed } = situation
  const before = pod.status ?? {}
  const containerStatuses = records.filter(isMain).map((record) => statusOfContainer(record, situation))
  const initContainerStatuses = records.filter((record) => record.init).map((record) => statusOfContainer(record, situation))
  const ephemeralContainerStatuses = records.filter((record) => record.ephemeral).map((record) => statusOfContainer(record, situation))
  const phase = isOver(before.phase) ? before.phase! : phaseOf(situation)
  const podIPs = ips.length > 0 ? ips.map((ip) => ({ ip })) : (before.podIPs ?? [])
  return {
    phase,
    conditions: conditionsOf({ ...situation, phase, hasSandbox: ips.length > 0 && !isOver(phase) }),
    ...(failed && { reason: failed.reason, message: failed.message }),
    ...(hostIPs[0] && { hostIP: hostIPs[0], hostIPs: hostIPs.map((ip) => ({ ip })) }),
    ...(podIPs[0] && { podIP: podIPs[0].ip, podIPs }),
    startTime: timestamp(startedAt),
    ...(initContainerStatuses.length > 0 && { initContainerStatuses }),
    containerStatuses,
    ...(ephemeralContainerStatuses.length > 0 && { ephemeralContainerStatuses }),
    qosClass: before.qosClass ?? qosClass(pod),
  }
}

function statusOfContainer(record: ContainerRecord, { pod, records, crashLooping }: Situation): ContainerStatus {
  const { container, current, previous } = record
  const { started, ready } = healthOf(record)
  const loop = crashLooping.get(container.name)
  const shown = loop === undefined && !record.waiting ? current : undefined
  const last = shown === current ? previous : current
  return {
    name: container.name,
    state: stateOf(record, shown, { pod, records, loop }),
    lastState: last ? terminated(last) : {},
    ready: record.init && !isSidecarSlot(record) ? current?.phase === 'exited' && current.exitCode === 0 : ready,
    restartCount: current?.attempt ?? Math.max(record.floor - 1, 0),
    image: container.image ?? current?.image ?? '',
    imageID: current?.imageID ?? '',
    ...(current && { containerID: ID_PREFIX + current.id }),
    started,
    ...(lasts(record) && resourcesIn(record)),
  }
}

/** Where the container asks for any. */
function resourcesIn({ container, allotted, current }: ContainerRecord): Partial<ContainerStatus> {
  const shown = current?.resources ?? allotted
  if (![container.resources, allotted, shown].some((r) => r?.limits ?? r?.requests)) return {}
  return { ...(allotted.requests && { allocatedResources: allotted.requests }), resources: shown }
}

type Seen = Pick<Situation, 'pod' | 'records'> & { loop: number | undefined }

function stateOf(record: ContainerRecord, shown: ContainerRun | undefined, { pod, records, loop }: Seen): ContainerState {
  const { container } = record
  if (shown?.phase === 'running') return { running: { startedAt: shown.startedAt } }
  if (shown) return terminated(shown)
  if (loop !== undefined) {
    const delay = Math.round((record.backoff?.delay ?? 0) / 1000)
    const text = delay >= 60 ? `${Math.floor(delay / 60)}m${delay % 60}s` : `${delay}s`
    const message = `back-off ${text} restarting failed container=${container.name} pod=${fullName(pod)}`
    return { waiting: { reason: 'CrashLoopBackOff', message } }
  }
  if (record.waiting) return { waiting: { reason: record.waiting.reason, message: record.waiting.message } }
  // The kubelet's word for every container of a pod that has init containers, they among them.
  return { waiting: { reason: records.some((other) => other.init) ? 'PodInitializing' : 'ContainerCreating' } }
}

function terminated(process: ContainerRun): ContainerState {
  const { id, exitCode = UNKNOWN, startedAt, finishedAt, message } = process
  const reason = process.reason ?? (process.exitCode === undefined ? 'ContainerStatusUnknown' : exitCode === 0 ? 'Completed' : 'Error')
  return { terminated: { exitCode, reason, ...(message && { message }), startedAt, finishedAt, containerID: ID_PREFIX + id } }
}

/** The exit code of a container whose end nobody saw. */
const UNKNOWN = 137

/** `name_namespace(uid)`. */
export const fullName = ({ metadata }: Pod): string => `${metadata.name}_${metadata.namespace}(${metadata.uid})`

/** A pod is over once nothing of it runs: its volumes and names are another's from then on. */
function phaseOf(situation: Situation): PodPhase {
  const phase = situation.failed ? 'Failed' : outcomeOf(situation)
  if (!isOver(phase) || situation.finished || !situation.records.some(({ current }) => current?.phase === 'running')) return phase
  const begun = situation.records.some((record) => isMain(record) && record.current)
  return begun ? 'Running' : 'Pending'
}

/** The kubelet's getPhase. */
function outcomeOf({ pod, records, finished }: Situation): PodPhase {
  const policy = pod.spec.restartPolicy ?? 'Always'
  const mains = records.filter(isMain)
  const inits = records.filter((record) => record.init)
  const begun = mains.some(({ current }) => current)
  const failedInit = inits.some((record) => !isSidecarSlot(record) && record.current?.phase === 'exited' && record.current.exitCode !== 0)
  const stopped = mains.filter((record) => record.current?.phase === 'exited' && !isChanged(record))
  const succeeded = stopped.filter(({ current }) => current?.exitCode === 0)

  if (finished) return mains.length === succeeded.length ? 'Succeeded' : 'Failed'
  if (failedInit && !begun && policy === 'Never') return 'Failed'
  if (!mains.every(({ current }) => current)) return 'Pending'
  if (stopped.length < mains.length || policy === 'Always') return 'Running'
  if (succeeded.length === mains.length) return 'Succeeded'
  return policy === 'Never' ? 'Failed' : 'Running'
}
