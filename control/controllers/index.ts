// Everything that brings the cluster from what is to what should be, started together: controllers and
// scheduler share one set of informers. Both resolve once the signal has aborted and all is at rest.

import type { Client } from '#api/client/client.ts'
import { type Clock, systemClock } from '#api/clock.ts'
import { type EventRecorder, recorder } from '#api/events/recorder.ts'
import { type Informers, informers as informersOf } from '#api/informer/informers.ts'
import { observing } from '#api/informer/observing.ts'
import type { Log } from '#api/log.ts'
import { run } from '#api/queue/run.ts'
import type { SchedulerConfiguration } from '../scheduler/config/configuration.ts'
import { schedule } from '../scheduler/scheduler.ts'
import { availability, localApiServices, type Probe } from './api-services.ts'
import { autoscalers } from './autoscaler/autoscaler.ts'
import { certificateApproval } from './certificates/approval.ts'
import { type Certify, certificateExpiry, certificateSigning } from './certificates/certificates.ts'
import { clusterRoles } from './cluster-roles.ts'
import { collectGarbage } from './collector/collector.ts'
import { cronJobs } from './cron-job/cron-job.ts'
import { daemonSets } from './daemon-set/daemon-set.ts'
import { deployments } from './deployment/deployment.ts'
import type { WorkloadDeps } from './deps.ts'
import { disruptionBudgets } from './disruption/disruption.ts'
import { endpointSlices, endpoints } from './endpoints/endpoints.ts'
import { endpointSliceMirroring } from './endpoints/mirror.ts'
import { eventExpiry } from './events.ts'
import { flowSchemas, priorityLevels } from './flow-control.ts'
import { jobs } from './job/job.ts'
import { jobTracking } from './job/tracking.ts'
import { leaseGc } from './lease-gc.ts'
import { legacyTokens } from './legacy-tokens.ts'
import { loadBalancers } from './load-balancer/load-balancer.ts'
import { namespaces } from './namespace.ts'
import { rootCertificates, serviceAccounts } from './namespace-defaults.ts'
import { nodeCidrs, type PodRange } from './node/cidr.ts'
import { taintEviction } from './node/eviction.ts'
import { nodeLifecycle } from './node/lifecycle.ts'
import { podControl } from './pod-control/pod-control.ts'
import { podGc } from './pod-gc.ts'
import { policyStatus } from './policy-status.ts'
import { replicaSets, replicationControllers } from './replica-set/replica-set.ts'
import { statefulSets } from './stateful-set/stateful-set.ts'
import { tokenExpiry } from './token-expiry.ts'
import { ttlAfterFinished } from './ttl-after-finished.ts'
import { claimBinding, volumeBinding } from './volumes/binder.ts'
import { ephemeralClaims } from './volumes/ephemeral.ts'
import { claimExpansion } from './volumes/expansion.ts'
import { claimProtecting, volumeProtecting } from './volumes/protection.ts'

export type ControlDeps = {
  client: Client
  log: Log
  signal: AbortSignal
  clock?: Clock
  random?: () => number
  /** Pass one to both `startControllers` and `startScheduler` so that they share their caches. */
  informers?: Informers
}

export type ControllerDeps = ControlDeps & {
  /** PEM, for `kube-root-ca.crt`. */
  ca: string
  /** Of which every node gets its part, one of each family. */
  podRanges: readonly PodRange[]
  /** Makes certificates for requests that were approved; absent: they wait. */
  certify?: Certify
  /** Asks a server behind an APIService what it offers. */
  probe?: Probe
}

export async function startControllers({ ca, podRanges, certify, probe = nobodyToAsk, ...given }: ControllerDeps): Promise<void> {
  const { signal, clock = systemClock, log } = given
  await using base = open(given)
  const recorders = new Map<string, EventRecorder>()
  const { informers } = base
  const client = observing(given.client, informers)
  const recorderFor = (component: string) => {
    const made = recorders.get(component) ?? recorder({ client: given.client, component, clock, random: base.random, log })
    recorders.set(component, made)
    return made
  }
  const deps: WorkloadDeps = {
    client,
    informers,
    clock,
    log,
    recorderFor,
    podControlFor: (component, words) => podControl({ client, informers, events: recorderFor(component), ...(words && { words }) }),
  }
  const reconcilers = [
    deployments(deps),
    replicaSets(deps),
    replicationControllers(deps),
    statefulSets(deps),
    daemonSets(deps),
    jobs(deps),
    jobTracking(deps),
    ttlAfterFinished(deps),
    cronJobs(deps),
    autoscalers(deps),
    endpointSlices(deps),
    endpoints(deps),
    endpointSliceMirroring(deps),
    loadBalancers(deps),
    namespaces(deps),
    serviceAccounts(deps),
    rootCertificates(deps, ca),
    nodeLifecycle(deps, signal),
    nodeCidrs(deps, podRanges),
    taintEviction(deps),
    podGc(deps),
    eventExpiry(deps),
    tokenExpiry(deps),
    leaseGc(deps),
    legacyTokens(deps),
    clusterRoles(deps),
    disruptionBudgets(deps),
    policyStatus(deps, signal),
    localApiServices(deps),
    availability(deps, probe),
    flowSchemas(deps),
    priorityLevels(deps),
    claimBinding(deps),
    volumeBinding(deps),
    claimProtecting(deps),
    volumeProtecting(deps),
    ephemeralClaims(deps),
    claimExpansion(deps),
    certificateExpiry(deps),
    ...(certify ? [certificateApproval(deps), certificateSigning(deps, certify)] : []),
  ]
  await Promise.all([run(reconcilers, { informers: base.informers, clock, log, signal }), collectGarbage(deps, signal)])
  await Promise.all([...recorders.values()].map((each) => each.close()))
}

const nobodyToAsk: Probe = () => Promise.reject(new Error('nobody here can ask it'))

export async function startScheduler(given: ControlDeps & { configuration?: SchedulerConfiguration }): Promise<void> {
  const { signal, clock = systemClock, log, configuration } = given
  await using base = open(given)
  const recorders = new Map<string, EventRecorder>()
  const recorderFor = (component: string) => {
    const made = recorders.get(component) ?? recorder({ client: given.client, component, clock, random: base.random, log })
    recorders.set(component, made)
    return made
  }
  const deps = { client: given.client, informers: base.informers, recorderFor, clock, random: base.random, log, signal }
  await schedule({ ...deps, ...(configuration && { configuration }) })
  await Promise.all([...recorders.values()].map((each) => each.close()))
}

/** Informers of our own are ours to close, those given are not. */
function open({ client, log, clock = systemClock, random = Math.random, informers: shared }: ControlDeps) {
  const informers = shared ?? informersOf({ client, log, clock, random })
  return {
    informers,
    random,
    async [Symbol.asyncDispose]() {
      if (!shared) await informers.close()
    },
  }
}
