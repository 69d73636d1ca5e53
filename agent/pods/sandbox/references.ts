// What a pod is made from, ConfigMaps, Secrets and its RuntimeClass: their changes concern it.

import { ConfigMap, RuntimeClass, Secret } from '#api/kinds/index.ts'
import type { Kind } from '#api/kinds/kind.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'

export function referencesOf(pod: Pod): { kind: Kind; name: string }[] {
  const maps = new Set<string | undefined>()
  const secrets = new Set<string | undefined>()
  for (const { configMap, secret, projected } of pod.spec.volumes ?? []) {
    maps.add(configMap?.name)
    secrets.add(secret?.secretName)
    for (const source of projected?.sources ?? []) {
      maps.add(source.configMap?.name)
      secrets.add(source.secret?.name)
    }
  }
  for (const { env = [], envFrom = [] } of [
    ...pod.spec.containers,
    ...(pod.spec.initContainers ?? []),
    ...(pod.spec.ephemeralContainers ?? []),
  ]) {
    for (const { valueFrom } of env) {
      maps.add(valueFrom?.configMapKeyRef?.name)
      secrets.add(valueFrom?.secretKeyRef?.name)
    }
    for (const { configMapRef, secretRef } of envFrom) {
      maps.add(configMapRef?.name)
      secrets.add(secretRef?.name)
    }
  }
  const all = (kind: Kind, names: Set<string | undefined>) =>
    [...names].filter((name) => name !== undefined).map((name) => ({ kind, name }))
  return [...all(ConfigMap, maps), ...all(Secret, secrets), ...all(RuntimeClass, new Set([pod.spec.runtimeClassName || undefined]))]
}
