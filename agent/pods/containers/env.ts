// A container's environment: services of its namespace, then envFrom, then env, the later over the
// earlier; a value may refer to the variables before it.

import { ConfigMap, Secret } from '#api/kinds/index.ts'
import type { Container, EnvVarSource, Pod, Service } from '#api/types/core-v1.gen.ts'
import { containerNamed, fieldValue, resourceValue, type Standing } from '../../volumes/downward.ts'
import type { Objects } from '../../volumes/objects.ts'
import { ConfigError } from './config-error.ts'
import { expand } from './expand.ts'
import { serviceEnv } from './service-env.ts'

export type EnvDeps = { objects: Objects; standing: Standing; services: readonly Service[]; signal?: AbortSignal }

/** Names and values, without the image's own. Throws ConfigError where a source is missing. */
export async function environment(pod: Pod, container: Container, deps: EnvDeps): Promise<Map<string, string>> {
  const services = serviceEnv(deps.services, pod.metadata.namespace!, pod.spec.enableServiceLinks ?? true)
  const env = new Map<string, string>()
  for (const source of container.envFrom ?? []) {
    for (const [key, value] of await everyKey(pod, source, deps)) {
      const name = (source.prefix ?? '') + key
      if (name !== '' && !name.includes('=')) env.set(name, value)
    }
  }
  for (const { name, value, valueFrom } of container.env ?? []) {
    const found = valueFrom
      ? await fromSource(pod, container, valueFrom, deps)
      : expand(value ?? '', (other) => env.get(other) ?? services.get(other))
    if (found === undefined) continue
    env.set(name, found)
  }
  return new Map([...services, ...env])
}

type EnvFrom = NonNullable<Container['envFrom']>[number]

async function everyKey(pod: Pod, { configMapRef, secretRef }: EnvFrom, deps: EnvDeps): Promise<Map<string, string>> {
  const ref = configMapRef ?? secretRef
  if (!ref) return new Map()
  const data = await dataOf(pod, configMapRef ? 'configmap' : 'secret', ref.name ?? '', deps)
  if (!data && !ref.optional) throw new ConfigError(`${configMapRef ? 'configmap' : 'secret'} ${JSON.stringify(ref.name ?? '')} not found`)
  return data ?? new Map()
}

/** Undefined: an optional key that is not there, which leaves the variable unset. */
async function fromSource(pod: Pod, container: Container, source: EnvVarSource, deps: EnvDeps): Promise<string | undefined> {
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = source
  if (fieldRef) {
    const value = fieldValue(pod, fieldRef.fieldPath, deps.standing)
    if (value === undefined) throw new ConfigError(`unsupported fieldPath: ${fieldRef.fieldPath}`)
    return value
  }
  if (resourceFieldRef) {
    const of = resourceFieldRef.containerName ? containerNamed(pod, resourceFieldRef.containerName) : container
    const value = of && resourceValue(of, resourceFieldRef, deps.standing)
    if (value === undefined) throw new ConfigError(`unsupported resource: ${resourceFieldRef.resource}`)
    return value
  }
  const ref = configMapKeyRef ?? secretKeyRef
  if (!ref) throw new ConfigError('this source of a variable is not supported')
  const kind = configMapKeyRef ? 'configmap' : 'secret'
  const data = await dataOf(pod, kind, ref.name ?? '', deps)
  if (!data && !ref.optional) throw new ConfigError(`${kind} ${JSON.stringify(ref.name ?? '')} not found`)
  const value = data?.get(ref.key)
  if (value === undefined && !ref.optional) {
    const word = configMapKeyRef ? 'ConfigMap' : 'Secret'
    throw new ConfigError(`couldn't find key ${ref.key} in ${word} ${pod.metadata.namespace}/${ref.name ?? ''}`)
  }
  return value
}

async function dataOf(
  pod: Pod,
  kind: 'configmap' | 'secret',
  name: string,
  { objects, signal }: EnvDeps,
): Promise<Map<string, string> | undefined> {
  const ref = { namespace: pod.metadata.namespace!, name }
  if (kind === 'configmap') {
    const found = await objects.find(ConfigMap, ref, signal)
    return found && new Map(Object.entries(found.data ?? {}))
  }
  const found = await objects.find(Secret, ref, signal)
  return found && new Map(Object.entries(found.data ?? {}).map(([key, base64]) => [key, Buffer.from(base64, 'base64').toString()]))
}
