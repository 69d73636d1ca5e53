// What a node may report of a pod (core validation ValidatePodStatusUpdate).

import { familyOf } from '../../cidr.ts'
import type { Container, ContainerStatus, PodSpec, Pod as PodType } from '../../types/core-v1.gen.ts'
import type { Faults } from './faults.ts'
import { isDns1123Subdomain, isIP, isQualifiedName } from './names.ts'

const ofTheSystem = ['PodScheduled', 'Ready', 'Initialized']
const mostId = 2 ** 31 - 1
const onePerFamily = 'may specify no more than one IP for each IP family'

export function validatePodStatus(next: PodType, previous: PodType, faults: Faults): void {
  const { status, spec } = next
  const before = previous.status
  for (const [i, { type, observedGeneration }] of (status.conditions ?? []).entries()) {
    validateGeneration(`status.conditions[${i}]`, observedGeneration, faults)
    if (!ofTheSystem.includes(type)) faults.each(`status.conditions[${i}].Type`, type, isQualifiedName(type))
  }
  validateGeneration('status', status.observedGeneration, faults)
  const { nominatedNodeName: nominated } = status
  if (nominated && nominated !== before.nominatedNodeName) {
    faults.each('status.nominatedNodeName', nominated, isDns1123Subdomain(nominated))
    if (previous.spec.nodeName) faults.forbidden('status.nominatedNodeName', 'may not be set on pods that are already bound to a node')
  }
  if (before.qosClass !== undefined) faults.immutable('status.qosClass', status.qosClass, before.qosClass)
  validateTransitions('containerStatuses', next, previous, previous.spec.containers, faults)
  validateTransitions('initContainerStatuses', next, previous, previous.spec.initContainers, faults)
  validateTransitions('ephemeralContainerStatuses', next, previous, undefined, faults)
  validateAddresses('podIPs', status.podIPs, before.podIPs, faults)
  const [host] = status.hostIPs ?? []
  if (host && host.ip !== status.hostIP) faults.invalid('status.hostIPs[0].ip', host.ip, 'must be equal to `hostIP`')
  validateAddresses('hostIPs', status.hostIPs, before.hostIPs, faults)
  for (const list of ['containerStatuses', 'initContainerStatuses', 'ephemeralContainerStatuses'] as const) {
    for (const [i, { user }] of (status[list] ?? []).entries()) validateUser(`status.${list}[${i}].user.linux`, user, spec, faults)
  }
}

function validateGeneration(at: string, generation: number | undefined, faults: Faults): void {
  if (generation !== undefined && generation < 0) faults.invalid(`${at}.observedGeneration`, generation, 'must be a non-negative integer')
}

type List = 'containerStatuses' | 'initContainerStatuses' | 'ephemeralContainerStatuses'

/** What has ended for good never runs again. */
function validateTransitions(
  list: List,
  next: PodType,
  { spec, status }: PodType,
  containers: Container[] | undefined,
  faults: Faults,
): void {
  const all = [...spec.containers, ...(spec.initContainers ?? [])]
  const anyMayRestart = all.some(({ restartPolicyRules: rules }) => rules?.some(({ action }) => action === 'RestartAllContainers'))
  if (list !== 'ephemeralContainerStatuses' && anyMayRestart) return
  const now = new Map((next.status[list] ?? []).map((each) => [each.name, each]))
  for (const [i, { name, state }] of (status[list] ?? []).entries()) {
    const after: ContainerStatus | undefined = now.get(name)
    if (!state?.terminated || !after || after.state?.terminated) continue
    const container = containers?.find((each) => each.name === name)
    if (!container || !mayRestart(container, spec, state.terminated.exitCode))
      faults.forbidden(`status.${list}[${i}].state`, 'may not be transitioned to non-terminated state')
  }
}

function mayRestart({ restartPolicy: own, restartPolicyRules: rules = [] }: Container, spec: PodSpec, exitCode: number): boolean {
  const matches = ({ operator, values = [] }: NonNullable<(typeof rules)[number]['exitCodes']>) =>
    (operator === 'In') === values.includes(exitCode)
  if (own !== undefined && rules.some(({ action, exitCodes }) => action === 'Restart' && exitCodes && matches(exitCodes))) return true
  const policy = own ?? spec.restartPolicy
  return policy === 'OnFailure' ? exitCode !== 0 : policy !== 'Never'
}

/** Those that were there already are kept, whatever they are. */
function validateAddresses(list: 'podIPs' | 'hostIPs', now: { ip: string }[] = [], before: { ip: string }[] = [], faults: Faults): void {
  const kept = new Set(before.map(({ ip }) => ip))
  for (const [i, { ip }] of now.entries()) if (!kept.has(ip)) faults.each(`status.${list}[${i}]`, ip, isIP(ip))
  if (now.length > 1 && (now.length > 2 || new Set(now.map(({ ip }) => familyOf(ip))).size < now.length))
    faults.invalid(`status.${list}`, now, onePerFamily)
}

function validateUser(at: string, user: ContainerStatus['user'], { os }: PodSpec, faults: Faults): void {
  const linux = user?.linux
  if (!linux) return
  if (os?.name === 'windows') return faults.forbidden(at, 'cannot be set for a windows pod')
  const { uid, gid, supplementalGroups = [] } = linux
  for (const [field, id] of [
    ['uid', uid] as const,
    ['gid', gid] as const,
    ...supplementalGroups.map((g, i) => [`supplementalGroups[${i}]`, g] as const),
  ])
    if (id < 0 || id > mostId) faults.invalid(`${at}.${field}`, id, `must be between 0 and ${mostId}, inclusive`)
}
