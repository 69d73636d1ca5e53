// Starting one container: everything it needs is got side by side, then it takes its turn, so that the
// containers of a pod start in their order.

import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Container, Pod } from '#api/types/core-v1.gen.ts'
import type { Image } from '../../images/images.ts'
import type { ContainerSpec, Mount } from '../../runtime/runtime.ts'
import type { Mounted } from '../../volumes/volumes.ts'
import { allottedContainer } from '../resources/resize.ts'
import type { PodPrerequisites, Sandbox } from '../sandbox/prerequisites.ts'
import type { PodDeps } from '../worker/deps.ts'
import { graceOf } from '../worker/plan.ts'
import { ConfigError } from './config-error.ts'
import { environment } from './env.ts'
import { expand } from './expand.ts'
import { imageFor } from './image.ts'
import { type ContainerRecord, type ContainerRun, isMain, processOf } from './record.ts'
import { containerSpec, fileMounts, volumeMount } from './spec.ts'

export type Start = {
  pod: Pod
  record: ContainerRecord
  attempt: number
  /** The pod's other containers, of which one may lend its process namespace. */
  records: readonly ContainerRecord[]
  prerequisites: PodPrerequisites
  deps: PodDeps
  event: (type: 'Normal' | 'Warning', reason: string, message: string) => void
  /** Settles when the container before has started or failed to. */
  turn: Promise<void>
  signal: AbortSignal
  /** Outlives the start: the prerequisites are the whole pod's. */
  podSignal: AbortSignal
}

/** Resolves with the running process and the release of its image. Throws PrerequisiteError, ImageError, ConfigError, RuntimeError, StatusError. */
export async function startContainer(start: Start): Promise<{ process: ContainerRun; release: () => void }> {
  const { pod, record, attempt, prerequisites, deps, event, signal, podSignal } = start
  const container = allottedContainer(record)
  if (prerequisites.shaky) await Promise.all([prerequisites.sandbox(), prerequisites.volumes(podSignal)])
  const [image, sandbox, mounted, files] = await Promise.all([
    imageFor(pod, container, { ...deps, event, before: record.current, signal }),
    prerequisites.sandbox(),
    prerequisites.volumes(podSignal),
    prerequisites.files(),
  ])
  await start.turn
  signal.throwIfAborted()
  const env = await environment(pod, container, { ...deps, services: deps.services(), standing: prerequisites.standing, signal })
  const terminationLog = join(deps.podsDir, pod.metadata.uid, 'containers', container.name, String(attempt))
  const logPath = join(logFolder(deps, pod), container.name, `${attempt}.log`)
  const [volumes] = await Promise.all([
    volumeMounts(pod, container, mounted, env, deps),
    writable(terminationLog),
    mkdir(dirname(logPath), { recursive: true, mode: 0o700 }),
  ])
  const own = { ...files, [container.terminationMessagePath || '/dev/termination-log']: terminationLog }
  const spec = containerSpec(pod, container, {
    id: deps.newID(),
    attempt,
    image,
    env,
    hostname: prerequisites.hostname,
    namespaces: namespacesOf(start, sandbox),
    mounts: [...fileMounts(container, own), ...volumes],
    logPath,
    nodeMemoryBytes: deps.host.memoryBytes,
    isolation: deps.isolation,
    labels: {
      image: container.image ?? '',
      imageID: imageID(image),
      imageKey: image.id,
      boot: deps.host.bootID,
      grace: String(graceOf(pod)),
      terminationLog,
      ...(image.config.stopSignal && { stopSignal: image.config.stopSignal }),
    },
  })
  const release = deps.images.hold(image.id)
  try {
    signal.throwIfAborted()
    const state = await deps.runtime.start(spec)
    event('Normal', 'Created', `Created container: ${container.name}`)
    event('Normal', 'Started', `Started container ${container.name}`)
    return { process: { ...processOf(state, deps.host.bootID), phase: 'running', resources: container.resources }, release }
  } catch (error) {
    release()
    throw error
  }
}

/** An empty file that any user can write to, whatever the umask. */
async function writable(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await writeFile(path, '')
  await chmod(path, 0o666)
}

/** Every log of a pod is in here: the node's HTTP server reads them. */
export const logFolder = ({ logsDir }: Pick<PodDeps, 'logsDir'>, { metadata }: Pod): string =>
  join(logsDir, `${metadata.namespace}_${metadata.name}_${metadata.uid}`)

const imageID = (image: Image): string => image.digests[0] ?? image.id

/**
 * A pod that shares its process namespace does so in its first container's: its init is process 1 for
 * all, and when it ends the kernel ends the others with it.
 */
function namespacesOf({ pod, record, records }: Start, { namespaces }: Sandbox): ContainerSpec['namespaces'] {
  const target = record.container.targetContainerName
  if (target) {
    const { current } = records.find(({ container }) => container.name === target) ?? {}
    if (current?.phase !== 'running' || current.pid === undefined) {
      throw new ConfigError(`the target container ${JSON.stringify(target)} does not run`)
    }
    return { ...namespaces, pid: current.pid }
  }
  if (pod.spec.hostPID) return { ...namespaces, pid: 'host' }
  if (!pod.spec.shareProcessNamespace || record.init) return { ...namespaces, pid: 'new' }
  const lender = records.find((other) => isMain(other) && other.current?.phase === 'running' && other.current.pid !== undefined)
  return { ...namespaces, pid: lender?.current?.pid ?? 'new' }
}

/** A path may not go on with a name that nobody has set. Throws ConfigError, in the kubelet's words. */
function known(env: ReadonlyMap<string, string>, name: string): string {
  const value = env.get(name)
  if (value === undefined) throw new ConfigError(`missing value for ${JSON.stringify(name)}`)
  return value
}

async function volumeMounts(
  pod: Pod,
  container: Container,
  { paths }: Mounted,
  env: ReadonlyMap<string, string>,
  { volumes }: PodDeps,
): Promise<Mount[]> {
  return Promise.all(
    (container.volumeMounts ?? []).map(async (mount, index) => {
      const path = paths.get(mount.name)
      if (path === undefined) throw new ConfigError(`cannot find volume ${JSON.stringify(mount.name)} to mount into container`)
      const subPath = mount.subPathExpr ? expand(mount.subPathExpr, (name) => known(env, name)) : mount.subPath
      const source = subPath ? await volumes.subPath(pod, { name: mount.name, path }, container.name, index, subPath) : path
      return volumeMount(pod, mount, source)
    }),
  )
}
