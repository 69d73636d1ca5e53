// Makes the target of each HorizontalPodAutoscaler as large as its metrics ask for, every 15 seconds.
// A target is anything that has a `/scale`, found by the kinds that the server serves.

import { timestamp } from '#api/clock.ts'
import { isStatus } from '#api/errors.ts'
import { byNamespace } from '#api/informer/indexes.ts'
import { HorizontalPodAutoscaler, Pod } from '#api/kinds/index.ts'
import { apiVersionOf, type Kind } from '#api/kinds/kind.ts'
import { readyCondition } from '#api/pods.ts'
import { millis } from '#api/quantity.ts'
import { after, done, of, type Reconciler } from '#api/queue/reconciler.ts'
import { labelMatcher } from '#api/selector/label.ts'
import type { CrossVersionObjectReference, MetricStatus } from '#api/types/autoscaling-v2.gen.ts'
import { Ages } from '../ages.ts'
import type { Deps } from '../deps.ts'
import { canonical } from '../template.ts'
import { type History, remember, rulesOf } from './behavior.ts'
import { MetricError, propose } from './metric.ts'
import { able, type Decision, decide, decideBySize, withConditions } from './plan.ts'
import { MetricSource } from './source.ts'

const everyMs = 15_000
/** What metrics say changes all the time: what hardly differs is written down no more often than this. */
const retellMs = 300_000
const noticeable = 0.1
const standardTolerance = 0.1

/** `asked`: when it last decided. */
type Memory = { history: History; spec: string; askedAt: number; toldAt: number; warned: string }

export function autoscalers({ client, informers, recorderFor, clock }: Deps): Reconciler {
  const all = informers.of(HorizontalPodAutoscaler)
  const pods = informers.of(Pod)
  const events = recorderFor('horizontal-pod-autoscaler')
  const source = new MetricSource(client)
  const ages = new Ages(clock)
  const memories = new Map<string, Memory>()
  all.on({ delete: ({ metadata }) => memories.delete(metadata.uid) })

  async function kindOf({ apiVersion = 'v1', kind }: CrossVersionObjectReference): Promise<Kind> {
    const kinds = await client.kinds()
    const group = apiVersion.includes('/') ? apiVersion.split('/')[0] : ''
    const found =
      kinds.find((each) => each.kind === kind && apiVersionOf(each) === apiVersion) ??
      kinds.find((each) => each.kind === kind && each.group === group)
    if (!found) throw new Error(`no matches for kind ${JSON.stringify(kind)} in version ${JSON.stringify(apiVersion)}`)
    return found
  }

  function memoryOf({ metadata }: HorizontalPodAutoscaler, current: number): Memory {
    const known = memories.get(metadata.uid)
    if (known) return known
    // What it is when we first see it is what was asked for before: a start makes nothing smaller at once.
    const history: History = { recommendations: [{ at: clock.monotonic(), replicas: current }], ups: [], downs: [] }
    const made = { history, spec: '', askedAt: Number.NEGATIVE_INFINITY, toldAt: Number.NEGATIVE_INFINITY, warned: '' }
    memories.set(metadata.uid, made)
    return made
  }

  function asked(memory: Memory, { spec }: HorizontalPodAutoscaler): void {
    memory.askedAt = clock.monotonic()
    memory.spec = canonical(spec)
  }

  async function decision(
    hpa: HorizontalPodAutoscaler,
    current: number,
    selector: string | undefined,
    memory: Memory,
    signal: AbortSignal,
  ): Promise<Decision> {
    const bySize = decideBySize(hpa, current)
    if (bySize) return bySize
    if (!selector) {
      const message = "the HPA target's scale is missing a selector"
      const conditions = [{ type: 'ScalingActive', status: 'False', reason: 'InvalidSelector', message }] as const
      return { desired: current, conditions: [...conditions], warning: { reason: 'SelectorRequired', message: 'selector is required' } }
    }
    const namespace = hpa.metadata.namespace ?? ''
    const rivals = all.by(byNamespace, namespace).filter((each) => sameTarget(each, hpa))
    if (rivals.length > 1) {
      const names = rivals.map(({ metadata }) => `${namespace}/${metadata.name}`).sort()
      const message = `pods by selector ${selector} are controlled by multiple HPAs: [${names.join(' ')}]`
      const conditions = [{ type: 'ScalingActive', status: 'False', reason: 'AmbiguousSelector', message }] as const
      return { desired: current, conditions: [...conditions], warning: { reason: 'AmbiguousSelector', message } }
    }
    const matches = labelMatcher(selector)
    const { behavior, metrics = [] } = hpa.spec
    const tolerance = (text: string | undefined) => (text === undefined ? standardTolerance : millis(text) / 1000)
    const target = {
      namespace,
      current,
      selector,
      pods: pods.by(byNamespace, namespace).filter(({ metadata }) => matches(metadata.labels)),
      tolerance: { up: tolerance(behavior?.scaleUp?.tolerance), down: tolerance(behavior?.scaleDown?.tolerance) },
      agesOf: (pod: Pod) => ({
        started: ages.of(`${pod.metadata.uid}/start`, pod.status.startTime),
        turned: ages.of(`${pod.metadata.uid}/ready`, readyCondition(pod)?.lastTransitionTime),
      }),
      kindOf,
      source,
      signal,
    }
    const answers = await Promise.all(
      metrics.map((metric) =>
        propose(metric, target).catch((error: unknown) => {
          if (error instanceof MetricError) return error
          throw error
        }),
      ),
    )
    return decide(hpa, { current, answers, history: memory.history, now: clock.monotonic() })
  }

  function warn(hpa: HorizontalPodAutoscaler, memory: Memory, warning: { reason: string; message: string } | undefined): void {
    const text = warning ? `${warning.reason} ${warning.message}` : ''
    if (warning && text !== memory.warned) events.event(hpa, 'Warning', warning.reason, warning.message)
    memory.warned = text
  }

  async function report(
    hpa: HorizontalPodAutoscaler,
    memory: Memory,
    status: HorizontalPodAutoscaler['status'],
    signal: AbortSignal,
  ): Promise<void> {
    const same = canonical({ ...status, currentMetrics: [] }) === canonical({ ...hpa.status, currentMetrics: [] })
    const now = clock.monotonic()
    if (same && !differs(hpa.status?.currentMetrics, status.currentMetrics) && now - memory.toldAt < retellMs) return
    memory.toldAt = now
    if (canonical(status) !== canonical(hpa.status))
      await client.update(HorizontalPodAutoscaler, { ...hpa, status }, { subresource: 'status', signal })
  }

  async function scaleOf({ spec, metadata }: HorizontalPodAutoscaler, signal: AbortSignal) {
    const kind = await kindOf(spec.scaleTargetRef)
    const ref = { namespace: metadata.namespace ?? '', name: spec.scaleTargetRef.name }
    return { kind, scale: await client.get(kind, ref, { subresource: 'scale', signal }) }
  }

  async function advance(hpa: HorizontalPodAutoscaler, signal: AbortSignal): Promise<void> {
    const before = hpa.status ?? { desiredReplicas: 0, currentMetrics: [] }
    const base = { ...before, ...(hpa.metadata.generation !== undefined && { observedGeneration: hpa.metadata.generation }) }
    let found: Awaited<ReturnType<typeof scaleOf>>
    try {
      found = await scaleOf(hpa, signal)
    } catch (error) {
      signal.throwIfAborted()
      const why = error instanceof Error ? error.message : String(error)
      const memory = memoryOf(hpa, before.currentReplicas ?? 0)
      asked(memory, hpa)
      const conditions = withConditions(
        before.conditions,
        [able('False', 'FailedGetScale', `the HPA controller was unable to get the target's current scale: ${why}`)],
        clock.now(),
      )
      warn(hpa, memory, { reason: 'FailedGetScale', message: why })
      return await report(hpa, memory, { ...base, conditions }, signal)
    }
    const { kind, scale } = found
    const current = scale.spec.replicas ?? 0
    const memory = memoryOf(hpa, current)
    asked(memory, hpa)
    const decided = await decision(hpa, current, scale.status?.selector, memory, signal)
    const said = [able('True', 'SucceededGetScale', "the HPA controller was able to get the target's current scale"), ...decided.conditions]
    let { lastScaleTime } = before
    warn(hpa, memory, decided.warning)
    let failed: unknown
    if (decided.why) {
      try {
        await client.update(kind, { ...scale, spec: { ...scale.spec, replicas: decided.desired } }, { subresource: 'scale', signal })
        events.event(hpa, 'Normal', 'SuccessfulRescale', `New size: ${decided.desired}; reason: ${decided.why}`)
        said.push(able('True', 'SucceededRescale', `the HPA controller was able to update the target scale to ${decided.desired}`))
        lastScaleTime = timestamp(clock.now())
        remember(memory.history, rulesOf(hpa.spec), { from: current, to: decided.desired, now: clock.monotonic() })
      } catch (error) {
        // Somebody has changed it meanwhile: what they made of it is looked at anew.
        if (signal.aborted || isStatus(error, 'Conflict')) throw error
        const why = error instanceof Error ? error.message : String(error)
        said.push(able('False', 'FailedUpdateScale', `the HPA controller was unable to update the target scale: ${why}`))
        events.event(hpa, 'Warning', 'FailedRescale', `New size: ${decided.desired}; reason: ${decided.why}; error: ${why}`)
        failed = error
      }
    }
    const status = {
      ...base,
      ...(current && { currentReplicas: current }),
      desiredReplicas: failed ? current : decided.desired,
      currentMetrics: decided.metrics ?? before.currentMetrics ?? [],
      ...(lastScaleTime && { lastScaleTime }),
      conditions: withConditions(before.conditions, said, clock.now()),
    }
    if (!current) delete status.currentReplicas
    await report(hpa, memory, status, signal)
    if (failed) throw failed
  }

  return {
    name: 'horizontal-pod-autoscaler',
    watches: [of(HorizontalPodAutoscaler)],
    async reconcile(key, signal) {
      const hpa = all.get(key)
      if (!hpa || hpa.metadata.deletionTimestamp) return done
      const memory = memories.get(hpa.metadata.uid)
      const left = memory ? memory.askedAt + everyMs - clock.monotonic() : 0
      // What woke us is our own word about it.
      if (left > 0 && memory?.spec === canonical(hpa.spec)) return after(left)
      await advance(hpa, signal)
      return after(everyMs)
    },
  }
}

const sameTarget = (
  { spec: { scaleTargetRef: a } }: HorizontalPodAutoscaler,
  { spec: { scaleTargetRef: b } }: HorizontalPodAutoscaler,
): boolean => a.kind === b.kind && a.name === b.name && a.apiVersion?.split('/')[0] === b.apiVersion?.split('/')[0]

/** Whether what is told of the metrics differs enough to be worth a write. */
function differs(before: readonly MetricStatus[] | undefined, now: readonly MetricStatus[]): boolean {
  const amounts = (metrics: readonly MetricStatus[]) =>
    metrics.map((metric) => {
      const { current } = metric.resource ?? metric.containerResource ?? metric.pods ?? metric.object ?? metric.external ?? {}
      return current?.averageUtilization ?? millis(current?.averageValue ?? current?.value)
    })
  const [old, fresh] = [amounts(before ?? []), amounts(now)]
  return old.length !== fresh.length || fresh.some((amount, i) => Math.abs(amount - (old[i] ?? 0)) > noticeable * Math.abs(old[i] ?? 0))
}
