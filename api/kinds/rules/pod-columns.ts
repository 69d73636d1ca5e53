// What `kubectl get pods` shows (pkg/printers/internalversion printPod).

import { isReady, isTerminal } from '../../pods.ts'
import type { Container, ContainerStatus, Pod } from '../../types/core-v1.gen.ts'
import type { Column } from '../spec.ts'
import { humanDuration } from './age.ts'
import { ageColumn, nameColumn, none } from './columns.ts'

type Summary = { ready: number; total: number; status: string; restarts: number; lastRestart: number }

const restartable = (container: Container) => container.restartPolicy === 'Always'
const finished = (status: ContainerStatus) => Date.parse(status.lastState?.terminated?.finishedAt ?? '') || 0

function terminatedReason(status: ContainerStatus, prefix = ''): string {
  const end = status.state?.terminated
  if (!end) return ''
  if (end.reason) return `${prefix}${end.reason}`
  return end.signal ? `${prefix}Signal:${end.signal}` : `${prefix}ExitCode:${end.exitCode}`
}

/** The state of the first init container that is not done, if there is one. */
function initialising(pod: Pod): { reason: string; restarts: number; lastRestart: number } | undefined {
  const containers = pod.spec.initContainers ?? []
  const byName = new Map(containers.map((c) => [c.name, c]))
  let restarts = 0
  let lastRestart = 0
  for (const [i, status] of (pod.status?.initContainerStatuses ?? []).entries()) {
    restarts += status.restartCount ?? 0
    lastRestart = Math.max(lastRestart, finished(status))
    if (status.state?.terminated?.exitCode === 0) continue
    const container = byName.get(status.name)
    if (container && restartable(container) && status.started) continue
    const waiting = status.state?.waiting?.reason
    const text = status.state?.terminated
      ? terminatedReason(status, 'Init:')
      : waiting && waiting !== 'PodInitializing'
        ? `Init:${waiting}`
        : `Init:${i}/${containers.length}`
    return { reason: text, restarts, lastRestart }
  }
  return undefined
}

export function summarize(pod: Pod): Summary {
  const { status } = pod
  const sidecars = new Set((pod.spec.initContainers ?? []).filter(restartable).map((c) => c.name))
  const total = pod.spec.containers.length + sidecars.size
  let text = status?.reason || status?.phase || 'Unknown'
  if (status?.conditions?.some((c) => c.type === 'PodScheduled' && c.reason === 'SchedulingGated')) text = 'SchedulingGated'
  let ready = (status?.initContainerStatuses ?? []).filter((s) => sidecars.has(s.name) && s.started && s.ready).length
  let restarts = 0
  let lastRestart = 0
  const init = initialising(pod)
  const initialised = status?.conditions?.some((c) => c.type === 'Initialized' && c.status === 'True')
  if (init) text = init.reason
  if (!init || initialised) {
    for (const s of status?.initContainerStatuses ?? []) {
      if (!sidecars.has(s.name)) continue
      restarts += s.restartCount ?? 0
      lastRestart = Math.max(lastRestart, finished(s))
    }
    let running = false
    for (const s of (status?.containerStatuses ?? []).toReversed()) {
      restarts += s.restartCount ?? 0
      lastRestart = Math.max(lastRestart, finished(s))
      if (s.state?.waiting?.reason) text = s.state.waiting.reason
      else if (s.state?.terminated) text = terminatedReason(s)
      else if (s.ready && s.state?.running) {
        running = true
        ready += 1
      }
    }
    if (text === 'Completed' && running) text = isReady(pod) ? 'Running' : 'NotReady'
  } else {
    restarts = init.restarts
    lastRestart = init.lastRestart
  }
  const over = isTerminal(pod)
  if (pod.metadata.deletionTimestamp && status?.reason === 'NodeLost') text = 'Unknown'
  else if (pod.metadata.deletionTimestamp && !over) text = 'Terminating'
  return { ready, total, status: text, restarts, lastRestart }
}

function restartsText(pod: Pod, now: number): string {
  const { restarts, lastRestart } = summarize(pod)
  return restarts > 0 && lastRestart > 0 ? `${restarts} (${humanDuration(now - lastRestart)} ago)` : String(restarts)
}

function gates(pod: Pod): string {
  const wanted = pod.spec.readinessGates ?? []
  if (wanted.length === 0) return none
  const met = wanted.filter((g) => pod.status?.conditions?.some((c) => c.type === g.conditionType && c.status === 'True'))
  return `${met.length}/${wanted.length}`
}

export const podColumns: Column<Pod>[] = [
  nameColumn,
  {
    name: 'Ready',
    description: 'The aggregate readiness state of this pod for accepting traffic.',
    cell: (pod) => {
      const { ready, total } = summarize(pod)
      return `${ready}/${total}`
    },
  },
  { name: 'Status', description: 'The aggregate status of the containers in this pod.', cell: (pod) => summarize(pod).status },
  {
    name: 'Restarts',
    description:
      'The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.',
    cell: restartsText,
  },
  ageColumn,
  {
    name: 'IP',
    wide: true,
    description: 'IP address allocated to the pod.',
    cell: (pod) => pod.status?.podIPs?.[0]?.ip || pod.status?.podIP || none,
  },
  {
    name: 'Node',
    wide: true,
    description: 'NodeName is the node that this pod is scheduled to.',
    cell: (pod) => pod.spec.nodeName || none,
  },
  {
    name: 'Nominated Node',
    wide: true,
    description: 'nominatedNodeName is set only when this pod preempts other pods on the node.',
    cell: (pod) => pod.status?.nominatedNodeName || none,
  },
  { name: 'Readiness Gates', wide: true, description: 'The conditions that this pod needs to be ready.', cell: gates },
]
