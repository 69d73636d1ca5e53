// The pods of a job: what they are made of, and what is told of them by annotations and a finalizer. The
// finalizer keeps a pod until the job's status has counted how it ended; without it, it is not counted (again).

import type { New } from '#api/client/client.ts'
import { Job } from '#api/kinds/index.ts'
import { readyCondition } from '#api/pods.ts'
import type { Container, Pod } from '#api/types/core-v1.gen.ts'
import { podFrom } from '../template.ts'

export const trackingFinalizer = 'batch.kubernetes.io/job-tracking'
const indexKey = 'batch.kubernetes.io/job-completion-index'
const failuresKey = 'batch.kubernetes.io/job-index-failure-count'
const ignoredKey = 'batch.kubernetes.io/job-index-ignored-failure-count'
const indexVariable = 'JOB_COMPLETION_INDEX'
/** What the server leaves room for in a generated name. */
const longestPrefix = 58

/** How often an index has failed before: in ways that count, and in ways that its failure policy ignores. */
export type Failures = { counted: number; ignored: number }
/** A pod to make. */
export type Wanted = { index?: number; failures?: Failures }

export const isTracked = ({ metadata }: Pod): boolean => metadata.finalizers?.includes(trackingFinalizer) ?? false

/** Undefined for a pod that has none. */
export function indexOf({ metadata }: Pod): number | undefined {
  const text = metadata.annotations?.[indexKey]
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}

export const failuresBefore = ({ metadata }: Pod): Failures => ({
  counted: numberIn(metadata.annotations?.[failuresKey]),
  ignored: numberIn(metadata.annotations?.[ignoredKey]),
})

const numberIn = (text: string | undefined): number => (text !== undefined && /^\d+$/.test(text) ? Number(text) : 0)

export function jobPod(job: Job, { index, failures }: Wanted): New<Pod> {
  const pod = podFrom(job.spec.template, job, Job)
  const metadata = { ...pod.metadata, finalizers: [...new Set([...(pod.metadata.finalizers ?? []), trackingFinalizer])] }
  if (index === undefined) return { ...pod, metadata }
  const suffix = `-${index}`
  return {
    ...pod,
    metadata: {
      ...metadata,
      generateName: `${job.metadata.name.slice(0, longestPrefix - suffix.length - 1)}${suffix}-`,
      labels: { ...metadata.labels, [indexKey]: `${index}` },
      annotations: {
        ...metadata.annotations,
        [indexKey]: `${index}`,
        ...(failures && { [failuresKey]: `${failures.counted}` }),
        ...(failures?.ignored && { [ignoredKey]: `${failures.ignored}` }),
      },
    },
    spec: {
      ...job.spec.template.spec,
      hostname: `${job.metadata.name}${suffix}`,
      ...(job.spec.template.spec?.initContainers && { initContainers: job.spec.template.spec.initContainers.map(withIndex) }),
      containers: (job.spec.template.spec?.containers ?? []).map(withIndex),
    },
  }
}

function withIndex(container: Container): Container {
  if (container.env?.some(({ name }) => name === indexVariable)) return container
  const variable = { name: indexVariable, valueFrom: { fieldRef: { fieldPath: `metadata.labels['${indexKey}']` } } }
  return { ...container, env: [...(container.env ?? []), variable] }
}

/**
 * When a pod ended, as its node says: its last container's end, or that it stopped being ready, or was deleted.
 * It only tells ends apart and their order.
 */
export function finishedAt(pod: Pod): string | undefined {
  const { metadata, status, spec } = pod
  const sidecars = new Set(spec.initContainers?.filter(({ restartPolicy }) => restartPolicy === 'Always').map(({ name }) => name))
  const containers = [...(status.containerStatuses ?? []), ...(status.initContainerStatuses ?? []).filter(({ name }) => sidecars.has(name))]
  const ends = containers.map(({ state }) => state?.terminated?.finishedAt)
  if (ends.length > 0 && ends.every(Boolean)) return ends.reduce((a, b) => ((a ?? '') > (b ?? '') ? a : b))
  const ready = readyCondition(pod)
  if (ready?.status === 'False' && ready.lastTransitionTime) return ready.lastTransitionTime
  return metadata.deletionTimestamp ?? metadata.creationTimestamp
}
