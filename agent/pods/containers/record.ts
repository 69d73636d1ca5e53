// One container of a pod as the agent knows it: its newest process, the one before, and what is going
// on with it. The worker alone changes it; plan and status are read from it.

import type { Container, ContainerStatus, Pod, PodStatus, ResourceRequirements } from '#api/types/core-v1.gen.ts'
import type { ContainerState } from '../../runtime/runtime.ts'
import { mustRestart } from '../resources/allotment.ts'
import type { Backoff } from '../worker/backoff.ts'
import type { View } from '../worker/plan.ts'
import type { Health, Prober } from './prober.ts'

export const ID_PREFIX = 'coracle://'

/** A container in the runtime, or one that failed to become that. Times are RFC 3339. */
export type ContainerRun = {
  id: string
  attempt: number
  phase: 'running' | 'exited'
  startedAt?: string
  finishedAt?: string
  /** Of one that has: when this agent first saw it so, monotonic ms. What waits for its end counts from then. */
  endedAt?: number
  exitCode?: number
  /** Why it ended, where its exit code does not say. */
  reason?: string
  message?: string
  /** As the pod names it, and its digest. */
  image: string
  imageID: string
  imageKey?: string
  logPath?: string
  terminationLog?: string
  pid?: number
  /** The image's own. */
  stopSignal?: string
  /** What it was started with, or last given. */
  resources?: ResourceRequirements
  /** It ran before the node last booted: what it left in memory is gone. */
  stale?: boolean
}

export type ContainerRecord = {
  /** An ephemeral one may name another whose processes it sees. */
  container: Container & { targetContainerName?: string }
  init: boolean
  /** What the node has granted of what the container asks for: see resize.ts. */
  allotted: ResourceRequirements
  /** Added to the running pod by somebody who looks into it: started once, and of no weight for the pod's state. */
  ephemeral?: true
  current?: ContainerRun
  previous?: ContainerRun
  /** The attempt that follows processes whose traces are lost. */
  floor: number
  task?: 'starting' | 'stopping'
  /** Its deadline, monotonic ms, as `retryAt` is. */
  stopBy?: number
  /** Ends the start under way. */
  startAbort?: AbortController
  starting?: Promise<void>
  /** Cuts the preStop hook short. */
  hookAbort?: AbortController
  waiting?: {
    reason: string
    message?: string /** What it becomes, and when (monotonic ms). */
    later?: { reason: string; message: string; at: number }
  }
  /** It is running and through with its postStart hook. */
  postStartDone: boolean
  prober?: Prober
  condemned?: View['condemned']
  retryAt?: number
  /** Of crash loops, and of pulling its image. */
  backoff?: Backoff
  pullBackoff?: Backoff
}

/** What the runtime's record of a container carries for us. */
export type Labels = {
  image: string
  imageID: string /** The image store's own id of it. */
  imageKey: string
  boot: string
  grace: string
  terminationLog: string
  stopSignal?: string
}

/** A record for each container, the init ones first, the ephemeral ones last. */
export function slotsOf({ spec, status }: Pod): ContainerRecord[] {
  const { containerStatuses = [], initContainerStatuses = [] } = status ?? {}
  const make = (init: boolean, statuses: ContainerStatus[]) => (container: Container) => {
    const before = statuses.find(({ name }) => name === container.name)
    const floor = before ? before.restartCount + (before.containerID ? 1 : 0) : 0
    return { container, init, allotted: before?.resources ?? container.resources, floor, postStartDone: false }
  }
  return [
    ...(spec.initContainers ?? []).map(make(true, initContainerStatuses)),
    ...spec.containers.map(make(false, containerStatuses)),
    ...(spec.ephemeralContainers ?? []).map((container) => slotOfEphemeral(container, status)),
  ]
}

export const slotOfEphemeral = (container: Container, status: PodStatus | undefined): ContainerRecord => {
  const before = status?.ephemeralContainerStatuses?.find(({ name }) => name === container.name)
  return {
    container,
    init: false,
    ephemeral: true,
    allotted: container.resources,
    floor: before?.containerID ? 1 : 0,
    postStartDone: false,
  }
}

export const isMain = ({ init, ephemeral }: ContainerRecord): boolean => !init && !ephemeral

export const isSidecarSlot = ({ container, init }: ContainerRecord): boolean => init && container.restartPolicy === 'Always'

export const healthOf = (record: ContainerRecord): Health => {
  if (record.current?.phase !== 'running' || !record.postStartDone) return { started: false, ready: false }
  return record.prober?.health ?? { started: false, ready: false }
}

export function processOf(state: ContainerState, boot: string): ContainerRun {
  const labels = (state.spec.labels ?? {}) as Partial<Labels>
  return {
    id: state.id,
    attempt: state.spec.attempt,
    phase: state.phase === 'exited' ? 'exited' : 'running',
    startedAt: state.startedAt,
    finishedAt: state.finishedAt,
    exitCode: state.exitCode,
    ...(state.oomKilled && { reason: 'OOMKilled' }),
    image: labels.image ?? '',
    imageID: labels.imageID ?? '',
    imageKey: labels.imageKey,
    terminationLog: labels.terminationLog,
    pid: state.pid,
    stopSignal: labels.stopSignal,
    logPath: state.spec.logPath,
    ...(labels.boot !== undefined && labels.boot !== boot && { stale: true }),
  }
}

/** Its process is not what the pod asks for now: another takes its place, whatever the restart policy. */
export const isChanged = (record: ContainerRecord): boolean => {
  const { current, container } = record
  return current !== undefined && ((container.image !== undefined && current.image !== container.image) || mustRestart(record))
}

export function viewOf(record: ContainerRecord): View {
  const { current } = record
  const rerun = current?.stale && record.init && !isSidecarSlot(record)
  return {
    ...(current &&
      !rerun && {
        last: {
          phase: current.phase,
          exitCode: current.exitCode,
          endedAt: current.endedAt,
          stale: current.stale,
        },
      }),
    next: current ? current.attempt + 1 : record.floor,
    task: record.task,
    stopBy: record.stopBy,
    started: healthOf(record).started,
    condemned: record.condemned,
    changed: isChanged(record),
    retryAt: record.retryAt,
    backoff: record.backoff,
  }
}
