// pods/NAME/eviction: a deletion that asks the pod's PodDisruptionBudget first
// (kubernetes pkg/registry/core/pod/storage/eviction.go).

import { type Clock, timestamp } from '#api/clock.ts'
import { isStatus, StatusError } from '#api/errors.ts'
import { Pod, PodDisruptionBudget } from '#api/kinds/index.ts'
import { disruptionTarget, isReady, isTerminal } from '#api/pods.ts'
import { selectorMatcher } from '#api/selector/label.ts'
import { serverUser } from '#control/auth/user.ts'
import type { DeleteOptions, Target, WriteOptions } from '../objects/call.ts'
import type { Core } from '../objects/core.ts'
import { type Creators, deletionIn, success } from './creators.ts'

/** A budget that so many evictions wait on is not looked after. */
const mostDisrupted = 2000
const processedSeconds = 10

type Preconditions = NonNullable<DeleteOptions['preconditions']>

export const evictionCreators = ({ core, clock }: { core: Core; clock: Clock }): Creators => ({
  async 'pods/eviction'(target, body, options) {
    const given = deletionIn(body)
    const pod = (await core.get(target)).object as Pod
    const evict = async (preconditions: Preconditions = {}) => {
      const resourceVersion = isGoing(pod)
        ? preconditions.resourceVersion
        : await markDisrupted(core, clock, target, options, preconditions)
      const rules = { ...given, preconditions: { ...preconditions, ...(resourceVersion && { resourceVersion }) } }
      await core.delete(target, options.user, { ...rules, dryRun: options.dryRun ?? false, settled: true })
    }
    const budget = needsNoLeave(pod) ? undefined : await budgetOf(core, pod)
    if (!budget) {
      await evict(given.preconditions)
    } else if (isSpared(budget, pod)) {
      const { uid, resourceVersion } = pod.metadata
      // Only as it was seen: by now it may be healthy, and counted.
      await evict({ uid, resourceVersion, ...given.preconditions })
    } else {
      await decrement(core, clock, budget, pod, options)
      await evict(given.preconditions)
    }
    return success
  },
})

/** Nothing is lost with a pod that does not run or is going anyway. */
const needsNoLeave = (pod: Pod): boolean => isGoing(pod) || pod.status.phase === 'Pending'

const isGoing = (pod: Pod): boolean => pod.metadata.deletionTimestamp !== undefined || isTerminal(pod)

async function budgetOf(core: Core, { metadata }: Pod): Promise<PodDisruptionBudget | undefined> {
  const { items } = await core.list({ resource: core.resources.of(PodDisruptionBudget), namespace: metadata.namespace })
  const budgets = items.map((item) => item.object as PodDisruptionBudget)
  const found = budgets.filter(({ spec }) => selectorMatcher(spec.selector)(metadata.labels ?? {}))
  if (found.length > 1) {
    throw new StatusError(
      'InternalError',
      'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
    )
  }
  return found[0]
}

/** Whether a pod may go without leave, because it is not ready and so not counted. */
function isSpared({ spec, status }: PodDisruptionBudget, pod: Pod): boolean {
  if (isReady(pod)) return false
  if (spec.unhealthyPodEvictionPolicy === 'AlwaysAllow') return true
  const { currentHealthy, desiredHealthy } = status
  return currentHealthy >= desiredHealthy && desiredHealthy > 0
}

async function decrement(core: Core, clock: Clock, { metadata }: PodDisruptionBudget, pod: Pod, options: WriteOptions): Promise<void> {
  const resource = core.resources.of(PodDisruptionBudget)
  const target = { resource, namespace: metadata.namespace, name: metadata.name }
  await core.update(target, { user: serverUser, subresource: 'status', dryRun: options.dryRun ?? false }, (current) => {
    const budget = current as PodDisruptionBudget
    checkAllowed(budget)
    budget.status = {
      ...budget.status,
      disruptionsAllowed: budget.status.disruptionsAllowed - 1,
      disruptedPods: { ...budget.status.disruptedPods, [pod.metadata.name]: timestamp(clock.now()) },
    }
    // As often as it takes: what counts is the budget as it is then.
    delete (budget.metadata as { resourceVersion?: string }).resourceVersion
    return budget
  })
}

function checkAllowed({ metadata, status }: PodDisruptionBudget): void {
  const { name, generation = 0 } = metadata
  const details = (message: string) => ({ causes: [{ reason: 'DisruptionBudget' as const, message }] })
  if ((status.observedGeneration ?? 0) < generation) {
    throw new StatusError('TooManyRequests', "Cannot evict pod as it would violate the pod's disruption budget.", {
      ...details(`The disruption budget ${name} is still being processed by the server.`),
      retryAfterSeconds: processedSeconds,
    })
  }
  if (Object.keys(status.disruptedPods ?? {}).length >= mostDisrupted) {
    throw new StatusError(
      'Forbidden',
      `pod disruption budget ${name}: DisruptedPods map too big - too many evictions not confirmed by PDB controller`,
    )
  }
  if (status.disruptionsAllowed <= 0) {
    const { desiredHealthy, currentHealthy } = status
    throw new StatusError(
      'TooManyRequests',
      "Cannot evict pod as it would violate the pod's disruption budget.",
      details(`The disruption budget ${name} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`),
    )
  }
}

/**
 * Controllers and people see by it why the pod went. Returns the version that follows, where one was demanded.
 * Webhooks and policies were asked about the eviction.
 */
async function markDisrupted(
  core: Core,
  clock: Clock,
  target: Target,
  { dryRun = false }: WriteOptions,
  demanded: Preconditions,
): Promise<string | undefined> {
  const condition = disruptionTarget('EvictionByEvictionAPI', 'Eviction API: evicting', clock.now())
  try {
    const options = { user: serverUser, subresource: 'status', dryRun, settled: true }
    const { object } = await core.update({ ...target, resource: core.resources.of(Pod) }, options, (current) => {
      const pod = current as Pod
      const others = (pod.status.conditions ?? []).filter(({ type }) => type !== condition.type)
      pod.status = { ...pod.status, conditions: [...others, condition] }
      const metadata = pod.metadata as Preconditions
      if (demanded.uid) metadata.uid = demanded.uid
      if (demanded.resourceVersion) metadata.resourceVersion = demanded.resourceVersion
      else delete metadata.resourceVersion
      return pod
    })
    return dryRun || !demanded.resourceVersion ? demanded.resourceVersion : object.metadata.resourceVersion
  } catch (error) {
    if (!isStatus(error, 'NotFound')) throw error
    return demanded.resourceVersion
  }
}
