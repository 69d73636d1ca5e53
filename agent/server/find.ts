// Which container a request means. The API has the pod's word for it, the runtime the fact.

import { access } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { StatusError } from '#api/errors.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import type { ContainerState, Runtime } from '../runtime/runtime.ts'

export type Finder = { runtime: Pick<Runtime, 'list'>; pods: () => readonly Pod[] }
export type Names = { namespace: string; pod: string; uid?: string; container: string }

/** The latest attempt of it. Throws NotFound or BadRequest, in the kubelet's words. */
export async function findContainer(finder: Finder, names: Names): Promise<ContainerState> {
  const attempts = (await containersOf(finder, names)).filter(({ spec }) => spec.name === names.container)
  const latest = attempts.toSorted((a, b) => b.spec.attempt - a.spec.attempt)[0]
  if (latest) return latest
  const pod = podOf(finder, names)
  if (!pod) throw new StatusError('NotFound', `pod "${names.pod}" not found`)
  if (!allContainers(pod).includes(names.container)) {
    throw new StatusError('BadRequest', `container ${names.container} is not valid for pod ${names.pod}`)
  }
  throw new StatusError(
    'BadRequest',
    `container "${names.container}" in pod "${names.pod}" is waiting to start: ${waitingReason(pod, names.container)}`,
  )
}

/** As above, and it runs. */
export async function findRunning(finder: Finder, names: Names): Promise<ContainerState> {
  const state = await findContainer(finder, names)
  if (state.phase !== 'running') throw new StatusError('NotFound', `container not found ("${names.container}")`)
  return state
}

/** The pinned network namespace of a pod; undefined where it uses the node's. */
export async function networkOf(finder: Finder, names: Omit<Names, 'container'>): Promise<string | undefined> {
  const running = (await containersOf(finder, names)).find(({ phase }) => phase === 'running')
  if (!running) throw new StatusError('NotFound', `pod "${names.pod}" has no running container`)
  return running.spec.namespaces.net
}

/** The log of the attempt before this one. Throws BadRequest if there is none. */
export async function previousLog({ spec }: ContainerState): Promise<string> {
  const path = join(dirname(spec.logPath), `${spec.attempt - 1}.log`)
  const exists = await access(path).then(
    () => true,
    () => false,
  )
  if (exists) return path
  throw new StatusError('BadRequest', `previous terminated container "${spec.name}" in pod "${spec.pod.name}" not found`)
}

/** Of the pod that has the name now: one that was deleted may linger with the same one. */
async function containersOf({ runtime, pods }: Finder, names: Omit<Names, 'container'>): Promise<ContainerState[]> {
  const named = (await runtime.list()).filter(({ spec }) => spec.pod.namespace === names.namespace && spec.pod.name === names.pod)
  const uid = names.uid ?? podOf({ runtime, pods }, names)?.metadata.uid
  return uid === undefined ? named : named.filter(({ spec }) => spec.pod.uid === uid)
}

const podOf = ({ pods }: Finder, { namespace, pod, uid }: Omit<Names, 'container'>): Pod | undefined =>
  pods().find(({ metadata }) => metadata.namespace === namespace && metadata.name === pod && (!uid || metadata.uid === uid))

const allContainers = ({ spec }: Pod): string[] =>
  [...spec.containers, ...(spec.initContainers ?? []), ...(spec.ephemeralContainers ?? [])].map(({ name }) => name)

function waitingReason({ status }: Pod, container: string): string {
  const { containerStatuses = [], initContainerStatuses = [], ephemeralContainerStatuses = [] } = status ?? {}
  const all = [...containerStatuses, ...initContainerStatuses, ...ephemeralContainerStatuses]
  return all.find(({ name }) => name === container)?.state?.waiting?.reason ?? 'ContainerCreating'
}
