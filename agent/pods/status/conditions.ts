// A pod's conditions. Those that others own (the scheduler's, readiness gates) are kept as they are.

import { timestamp } from '#api/clock.ts'
import type { PodCondition, PodConditionType, PodPhase } from '#api/types/core-v1.gen.ts'
import { type ContainerRecord, healthOf, isMain, isSidecarSlot } from '../containers/record.ts'
import type { Situation } from './situation.ts'

/** They are there only while they are true. */
export const passing: readonly PodConditionType[] = ['PodResizePending', 'PodResizeInProgress']

type Verdict = { status: 'True' | 'False'; reason?: string; message?: string }

export function conditionsOf(situation: Situation & { phase: PodPhase; hasSandbox: boolean }): PodCondition[] {
  const { pod, now } = situation
  const before = pod.status?.conditions ?? []
  const containersReady = readyOf(situation)
  const verdicts: [PodConditionType, Verdict][] = [
    ['PodReadyToStartContainers', { status: situation.hasSandbox ? 'True' : 'False' }],
    ['Initialized', initialisedOf(situation)],
    ['Ready', gated(situation, containersReady)],
    ['ContainersReady', containersReady],
  ]
  const { pending, inProgress } = situation.resize ?? {}
  if (pending) verdicts.push(['PodResizePending', { status: 'True', ...pending }])
  if (inProgress) verdicts.push(['PodResizeInProgress', { status: 'True', ...inProgress }])
  const own = new Set<string>([...verdicts.map(([type]) => type), ...passing])
  const made = verdicts.map(([type, verdict]): PodCondition => {
    const known = before.find((condition) => condition.type === type)
    const since = known?.status === verdict.status ? known.lastTransitionTime : undefined
    return { type, ...verdict, lastProbeTime: undefined, lastTransitionTime: since ?? timestamp(now) }
  })
  return [...before.filter(({ type }) => !own.has(type)), ...made]
}

function initialisedOf({ records, phase }: Situation & { phase: PodPhase }): Verdict {
  const inits = records.filter((record) => record.init)
  if (phase === 'Succeeded') return { status: 'True', ...(inits.length > 0 && { reason: 'PodCompleted' }) }
  const begun = records.some((record) => isMain(record) && record.current)
  const incomplete = inits.filter((record) => !begun && !complete(record))
  if (incomplete.length === 0) return { status: 'True' }
  const message = `containers with incomplete status: [${names(incomplete)}]`
  return { status: 'False', reason: 'ContainersNotInitialized', message }
}

const complete = (record: ContainerRecord): boolean =>
  isSidecarSlot(record) ? healthOf(record).started : record.current?.phase === 'exited' && record.current.exitCode === 0

function readyOf({ records, phase }: Situation & { phase: PodPhase }): Verdict {
  if (phase === 'Succeeded') return { status: 'False', reason: 'PodCompleted' }
  if (phase === 'Failed') return { status: 'False', reason: 'PodFailed' }
  const unready = records.filter((record) => (isMain(record) || isSidecarSlot(record)) && !healthOf(record).ready)
  if (unready.length === 0) return { status: 'True' }
  return { status: 'False', reason: 'ContainersNotReady', message: `containers with unready status: [${names(unready)}]` }
}

/** Ready is more than its containers: every condition that the pod names as a gate must be true as well. */
function gated({ pod }: Situation, containersReady: Verdict): Verdict {
  if (containersReady.status === 'False') return containersReady
  const wrong: string[] = []
  for (const { conditionType } of pod.spec.readinessGates ?? []) {
    const found = pod.status?.conditions?.find(({ type }) => type === conditionType)
    if (!found) wrong.push(`corresponding condition of pod readiness gate ${JSON.stringify(conditionType)} does not exist.`)
    else if (found.status !== 'True') {
      wrong.push(`the status of pod readiness gate ${JSON.stringify(conditionType)} is not "True", but ${found.status}`)
    }
  }
  return wrong.length === 0 ? { status: 'True' } : { status: 'False', reason: 'ReadinessGatesNotReady', message: wrong.join(', ') }
}

const names = (records: ContainerRecord[]): string => records.map((record) => record.container.name).join(' ')
