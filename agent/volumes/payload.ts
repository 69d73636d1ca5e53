// What the files of a configMap, secret, downwardAPI or projected volume hold, before anything is
// written: a path under the volume → bytes and mode.

import { ConfigMap, Secret } from '#api/kinds/index.ts'
import type { DownwardAPIVolumeFile, KeyToPath, Pod, Volume } from '#api/types/core-v1.gen.ts'
import { containerNamed, fieldValue, resourceValue, type Standing } from './downward.ts'
import type { Objects } from './objects.ts'
import type { Tokens } from './tokens.ts'
import { VolumeError } from './volume-error.ts'

export type File = { data: Buffer; mode: number /** Absent: root's. */; uid?: number }
export type Payload = Map<string, File>

export type PayloadDeps = { objects: Objects; tokens: Tokens; standing: Standing; signal?: AbortSignal }

/** The kubelet's default of every `defaultMode`. */
const DEFAULT_MODE = 0o644

/** The volume's files, and when (ms) they must be made anew. */
export async function payloadOf(
  pod: Pod,
  volume: Volume,
  deps: PayloadDeps,
): Promise<{ files: Payload; refreshAt?: number; secret: boolean }> {
  const { configMap, secret, downwardAPI, projected } = volume
  if (configMap) {
    const mode = configMap.defaultMode ?? DEFAULT_MODE
    return { files: await configMapFiles(pod, configMap, mode, deps), secret: false }
  }
  if (secret) {
    const mode = secret.defaultMode ?? DEFAULT_MODE
    return { files: await secretFiles(pod, { ...secret, name: secret.secretName }, mode, deps), secret: true }
  }
  if (downwardAPI) {
    return { files: downwardFiles(pod, downwardAPI.items, downwardAPI.defaultMode ?? DEFAULT_MODE, deps), secret: false }
  }

  const mode = projected?.defaultMode ?? DEFAULT_MODE
  const files: Payload = new Map()
  let refreshAt: number | undefined
  let confidential = false
  for (const source of projected?.sources ?? []) {
    if (source.configMap) merge(files, await configMapFiles(pod, source.configMap, mode, deps))
    if (source.downwardAPI) merge(files, downwardFiles(pod, source.downwardAPI.items, mode, deps))
    if (source.secret) {
      merge(files, await secretFiles(pod, source.secret, mode, deps))
      confidential = true
    }
    if (source.serviceAccountToken) {
      const { audience, expirationSeconds, path } = source.serviceAccountToken
      const token = await deps.tokens.get(pod, { audience, expirationSeconds }, deps.signal)
      files.set(safe(path), { data: Buffer.from(token.token), ...tokenAccess(pod, mode) })
      refreshAt = Math.min(refreshAt ?? Number.POSITIVE_INFINITY, token.refreshAt)
      confidential = true
    }
    if (source.clusterTrustBundle || source.podCertificate) throw new VolumeError('this kind of projection is not supported')
  }
  return { files, refreshAt, secret: confidential }
}

type Source = { name?: string; items?: KeyToPath[]; optional?: boolean }

async function configMapFiles(pod: Pod, source: Source, mode: number, { objects, signal }: PayloadDeps): Promise<Payload> {
  const name = source.name ?? ''
  const found = await objects.find(ConfigMap, { namespace: pod.metadata.namespace!, name }, signal)
  if (!found && !source.optional) throw new VolumeError(`configmap ${JSON.stringify(name)} not found`)
  const data = new Map<string, Buffer>()
  for (const [key, text] of Object.entries(found?.data ?? {})) data.set(key, Buffer.from(text))
  for (const [key, base64] of Object.entries(found?.binaryData ?? {})) data.set(key, Buffer.from(base64, 'base64'))
  return select(data, source, mode, 'configmap')
}

async function secretFiles(pod: Pod, source: Source, mode: number, { objects, signal }: PayloadDeps): Promise<Payload> {
  const name = source.name ?? ''
  const found = await objects.find(Secret, { namespace: pod.metadata.namespace!, name }, signal)
  if (!found && !source.optional) throw new VolumeError(`secret ${JSON.stringify(name)} not found`)
  const data = new Map<string, Buffer>()
  for (const [key, base64] of Object.entries(found?.data ?? {})) data.set(key, Buffer.from(base64, 'base64'))
  return select(data, source, mode, 'secret')
}

function select(data: Map<string, Buffer>, { items, optional }: Source, mode: number, kind: string): Payload {
  if (!items?.length) return new Map([...data].map(([key, bytes]) => [safe(key), { data: bytes, mode }]))
  const files: Payload = new Map()
  for (const item of items) {
    const bytes = data.get(item.key)
    if (bytes) files.set(safe(item.path), { data: bytes, mode: item.mode ?? mode })
    else if (!optional) throw new VolumeError(`${kind} references non-existent config key: ${item.key}`)
  }
  return files
}

function downwardFiles(pod: Pod, items: DownwardAPIVolumeFile[] = [], mode: number, { standing }: PayloadDeps): Payload {
  const files: Payload = new Map()
  for (const { path, mode: own, fieldRef, resourceFieldRef } of items) {
    const container = resourceFieldRef && containerNamed(pod, resourceFieldRef.containerName)
    const text = fieldRef
      ? fieldValue(pod, fieldRef.fieldPath, standing)
      : resourceFieldRef && container && resourceValue(container, resourceFieldRef, standing)
    if (text === undefined) {
      throw new VolumeError(`unsupported fieldPath: ${fieldRef?.fieldPath ?? resourceFieldRef?.resource ?? ''}`)
    }
    files.set(safe(path), { data: Buffer.from(text), mode: own ?? mode })
  }
  return files
}

function merge(into: Payload, from: Payload): void {
  for (const [path, file] of from) into.set(path, file)
}

/** A path that stays inside the volume; the server refuses others, and the agent does not rely on it. */
function safe(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  if (path.startsWith('/') || parts.length === 0 || parts.includes('..') || parts[0]!.startsWith('..')) {
    throw new VolumeError(`invalid path: ${JSON.stringify(path)}`)
  }
  return parts.join('/')
}

/** A token belongs to the user of the pod, and to nobody else, where one user runs all of it (kubelet's projected.go). */
function tokenAccess(pod: Pod, mode: number): Pick<File, 'mode' | 'uid'> {
  if (pod.spec.securityContext?.fsGroup !== undefined) return { mode: 0o600 }
  const uid = soleUser(pod)
  return uid === undefined ? { mode } : { mode: 0o600, uid }
}

/** The user that every container of the pod is told to run as, if it is one and the same. */
function soleUser(pod: Pod): number | undefined {
  const users = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].map(
    (container) => container.securityContext?.runAsUser ?? pod.spec.securityContext?.runAsUser,
  )
  return users.every((user) => user === users[0]) ? users[0] : undefined
}
