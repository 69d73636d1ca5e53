// Rules for the environment of containers, and for what the downward API may show of a pod.

import { compareQuantity } from '../../quantity.ts'
import type { Container, EnvVar, FileKeySelector, ObjectFieldSelector, ResourceFieldSelector } from '../../types/core-v1.gen.ts'
import type { Volumes } from './container-mounts.ts'
import type { Faults } from './faults.ts'
import { validateNoBacksteps } from './local-path.ts'
import { isConfigKey, isDns1123Subdomain, isEnvName, isQualifiedName } from './names.ts'

const sources = ['fieldRef', 'resourceFieldRef', 'configMapKeyRef', 'secretKeyRef', 'fileKeyRef'] as const

/** `volumes`: the names of the pod's volumes. */
export function validateEnv(at: string, container: Container, volumes: Volumes, faults: Faults): void {
  for (const [i, variable] of (container.env ?? []).entries()) {
    const here = `${at}.env[${i}]`
    if (!variable.name) faults.required(`${here}.name`)
    else faults.each(`${here}.name`, variable.name, isEnvName(variable.name))
    if (variable.valueFrom) validateSource(`${here}.valueFrom`, variable, volumes, faults)
  }
  for (const [i, { prefix, configMapRef, secretRef }] of (container.envFrom ?? []).entries()) {
    const here = `${at}.envFrom[${i}]`
    if (prefix) faults.each(`${here}.prefix`, prefix, isEnvName(prefix))
    for (const [field, ref] of [['configMapRef', configMapRef] as const, ['secretRef', secretRef] as const]) {
      if (!ref) continue
      if (!ref.name) faults.required(`${here}.${field}.name`)
      else faults.each(`${here}.${field}.name`, ref.name, isDns1123Subdomain(ref.name))
    }
    if (!configMapRef && !secretRef) faults.invalid(`${at}.envFrom`, '', 'must specify one of: `configMapRef` or `secretRef`')
    if (configMapRef && secretRef) faults.invalid(`${at}.envFrom`, '', 'may not have more than one field specified at a time')
  }
}

function validateSource(at: string, { value, valueFrom }: EnvVar, volumes: Volumes, faults: Faults): void {
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef, fileKeyRef } = valueFrom ?? {}
  if (fieldRef) validateFieldRef(`${at}.fieldRef`, fieldRef, forVariables, faults)
  if (resourceFieldRef) validateResourceRef(`${at}.resourceFieldRef`, resourceFieldRef, false, faults)
  if (configMapKeyRef) validateKeyRef(`${at}.configMapKeyRef`, configMapKeyRef, faults)
  if (secretKeyRef) validateKeyRef(`${at}.secretKeyRef`, secretKeyRef, faults)
  if (fileKeyRef) validateFileRef(`${at}.fileKeyRef`, fileKeyRef, volumes, faults)
  const given = sources.filter((name) => valueFrom?.[name])
  if (given.length === 0) {
    const some = sources.slice(0, -1).map((name) => `\`${name}\``)
    faults.invalid(at, '', `must specify one of: ${some.join(', ')} or \`${sources.at(-1)}\``)
  } else if (value) faults.invalid(at, '', 'may not be specified when `value` is not empty')
  else if (given.length > 1) faults.invalid(at, '', 'may not have more than one field specified at a time')
}

function validateKeyRef(at: string, { name = '', key }: { name?: string; key?: string }, faults: Faults): void {
  faults.each(`${at}.name`, name, isDns1123Subdomain(name))
  if (!key) faults.required(`${at}.key`)
  else faults.each(`${at}.key`, key, isConfigKey(key))
}

function validateFileRef(at: string, { volumeName, path, key }: FileKeySelector, volumes: Volumes, faults: Faults): void {
  if (!volumeName) faults.required(`${at}.volumeName`)
  else if (!volumes.has(volumeName)) faults.notFound(`${at}.volumeName`, volumeName)
  else if (!volumes.get(volumeName)?.emptyDir) faults.invalid(`${at}.volumeName`, volumeName, 'referenced volume must be of type emptyDir')
  if (!path) faults.required(`${at}.path`)
  else validateNoBacksteps(`${at}.path`, path, faults)
  if (!key) faults.required(`${at}.key`)
  else faults.each(`${at}.key`, key, isEnvName(key))
}

const forVariables: ReadonlySet<string> = new Set([
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
])
/** What a file may show of the pod. */
export const forFiles: ReadonlySet<string> = new Set([
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
])
/** All that has a name in the downward API, wherever it may stand. */
const known: ReadonlySet<string> = new Set([...forVariables, ...forFiles, 'spec.host', 'spec.restartPolicy', 'status.phase'])

export function validateFieldRef(at: string, ref: ObjectFieldSelector, allowed: ReadonlySet<string>, faults: Faults): void {
  const { apiVersion, fieldPath: path } = ref
  if (!apiVersion) return faults.required(`${at}.apiVersion`)
  if (!path) return faults.required(`${at}.fieldPath`)
  const cannot = (why: string) => faults.invalid(`${at}.fieldPath`, path, `error converting fieldPath: ${why}`)
  if (apiVersion !== 'v1') return cannot(`unsupported pod version: ${apiVersion}`)
  const [, field, key] = /^(.*?)\['(.*)'\]$/.exec(path) ?? []
  if (field !== undefined && key !== undefined) {
    if (field === 'metadata.annotations') faults.each(at, key.toLowerCase(), isQualifiedName(key.toLowerCase()))
    else if (field === 'metadata.labels') faults.each(at, key, isQualifiedName(key))
    else cannot(`field label does not support subscript: ${path}`)
  } else if (!known.has(path)) cannot(`field label not supported: ${path}`)
  else if (!allowed.has(path)) faults.notSupported(`${at}.fieldPath`, path, [...allowed])
}

const resources = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
]
const divisors = ['1', '1k', '1M', '1G', '1T', '1P', '1E', '1Ki', '1Mi', '1Gi', '1Ti', '1Pi', '1Ei']
const hugePages = /^(requests|limits)\.hugepages-/

/** `inFile`: it must name its container, since a file belongs to none. */
export function validateResourceRef(at: string, ref: ResourceFieldSelector, inFile: boolean, faults: Faults): void {
  const { containerName, resource, divisor = '0' } = ref
  if (inFile && !containerName) faults.required(`${at}.containerName`)
  else if (!resource) faults.required(`${at}.resource`)
  else if (!resources.includes(resource) && !hugePages.test(resource)) faults.notSupported(`${at}.resource`, resource, resources)
  if (compareQuantity(divisor, '0') === 0) return
  const what = hugePages.test(resource) ? 'hugepages' : resource.replace(/^(requests|limits)\./, '')
  const wrong = (list: string, name: string) =>
    faults.invalid(`${at}.divisor`, resource, `only divisor's values ${list} are supported with the ${name} resource`)
  if (what === 'cpu') {
    if (divisor !== '1m' && divisor !== '1') wrong('1m and 1', 'cpu')
  } else if (['memory', 'ephemeral-storage', 'hugepages'].includes(what) && !divisors.includes(divisor)) {
    wrong(divisors.join(', '), what === 'ephemeral-storage' ? 'local ephemeral storage' : what)
  }
}
