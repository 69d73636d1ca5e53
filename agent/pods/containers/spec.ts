// From a container of a pod to what the runtime starts: the pod's wishes over the image's defaults.

import type { Container, Pod, VolumeMount } from '#api/types/core-v1.gen.ts'
import type { Image } from '../../images/images.ts'
import type { ContainerSpec, Mount } from '../../runtime/runtime.ts'
import { cgroupOf, oomScoreAdj, resourcesOf } from '../resources/qos.ts'
import type { Isolation } from '../sandbox/isolation.ts'
import { ConfigError } from './config-error.ts'
import { expand } from './expand.ts'
import type { Labels } from './record.ts'
import { securityOf } from './security.ts'

export type SpecParts = {
  id: string
  attempt: number
  image: Image
  env: ReadonlyMap<string, string>
  hostname: string
  namespaces: ContainerSpec['namespaces']
  mounts: Mount[]
  logPath: string
  nodeMemoryBytes: number
  isolation: Isolation
  labels: Labels
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Throws ConfigError. */
export function containerSpec(pod: Pod, container: Container, parts: SpecParts): ContainerSpec {
  const { id, attempt, image, env, labels } = parts
  const { namespace = '', name, uid } = pod.metadata
  return {
    id,
    pod: { namespace, name, uid },
    name: container.name,
    attempt,
    layers: image.layers,
    args: commandOf(container, image, env),
    env: environmentOf(container, image, env, parts.hostname),
    cwd: container.workingDir || image.config.workingDir || '/',
    namespaces: parts.namespaces,
    mounts: parts.mounts,
    cgroup: `${cgroupOf(pod)}/${id}`,
    resources: resourcesOf(container),
    ...securityOf(pod, container, { image: image.config, isolation: parts.isolation }),
    oomScoreAdj: oomScoreAdj(pod, container, parts.nodeMemoryBytes),
    tty: container.tty ?? false,
    stdin: container.stdin ?? false,
    stdinOnce: container.stdinOnce ?? false,
    logPath: parts.logPath,
    ...(pod.spec.securityContext?.sysctls?.length && {
      sysctls: Object.fromEntries(pod.spec.securityContext.sysctls.map(({ name, value }) => [name, value])),
    }),
    labels,
  }
}

/** `command` replaces the image's entrypoint and drops its arguments; `args` replaces only those. */
function commandOf(container: Container, { config }: Image, env: ReadonlyMap<string, string>): string[] {
  const fill = (words: string[]) => words.map((word) => expand(word, (name) => env.get(name)))
  const command = container.command?.length ? fill(container.command) : config.entrypoint
  const args = container.args?.length ? fill(container.args) : container.command?.length ? [] : config.cmd
  const all = [...command, ...args]
  if (all.length === 0) throw new ConfigError('no command specified')
  return all
}

function environmentOf(container: Container, { config }: Image, env: ReadonlyMap<string, string>, hostname: string): string[] {
  const all = new Map([
    ['PATH', DEFAULT_PATH],
    ['HOSTNAME', hostname],
    ...(container.tty ? [['TERM', 'xterm'] as const] : []),
    ...config.env.map((line): [string, string] => {
      const equals = line.indexOf('=')
      return equals < 0 ? [line, ''] : [line.slice(0, equals), line.slice(equals + 1)]
    }),
    ...env,
  ])
  return [...all].map(([name, value]) => `${name}=${value}`)
}

const propagation = { None: 'rprivate', HostToContainer: 'rslave', Bidirectional: 'rshared' } as const

/** A volume mount, once it is known where its volume is. What the agent writes itself is never the container's to change. */
export function volumeMount(pod: Pod, mount: VolumeMount, source: string): Mount {
  const volume = pod.spec.volumes?.find(({ name }) => name === mount.name)
  const ours = volume?.configMap ?? volume?.secret ?? volume?.projected ?? volume?.downwardAPI
  return {
    source,
    target: mount.mountPath,
    readOnly: mount.readOnly === true || ours !== undefined,
    options: [propagation[mount.mountPropagation ?? 'None']],
  }
}

/** Bind mounts of the pod's own files, where no volume of the container takes their place. */
export function fileMounts(container: Container, files: Record<string, string>): Mount[] {
  const taken = new Set((container.volumeMounts ?? []).map(({ mountPath }) => mountPath))
  return Object.entries(files)
    .filter(([target]) => !taken.has(target))
    .map(([target, source]) => ({ source, target, readOnly: false }))
}
