// What a pod says of its operating system, and what goes with no other.

import type { Container, PodSpec } from '../../types/core-v1.gen.ts'
import type { Faults } from './faults.ts'

const lists = ['initContainers', 'containers', 'ephemeralContainers'] as const

export function* containersOf(at: string, spec: PodSpec): Generator<[string, Container]> {
  for (const list of lists) for (const [i, container] of (spec[list] ?? []).entries()) yield [`${at}.${list}[${i}]`, container]
}

export function validateOs(at: string, spec: PodSpec, faults: Faults): void {
  if (!spec.os) return
  const { name } = spec.os
  if (!name) faults.required(`${at}.os.name`, 'cannot be empty')
  else if (name === 'linux') validateLinux(at, spec, faults)
  else if (name === 'windows') validateWindows(at, spec, faults)
  else faults.notSupported(`${at}.os`, name, ['linux', 'windows'])
}

function validateLinux(at: string, spec: PodSpec, faults: Faults): void {
  const why = 'windows options cannot be set for a linux pod'
  if (spec.securityContext?.windowsOptions) faults.forbidden(`${at}.securityContext.windowsOptions`, why)
  for (const [here, { securityContext }] of containersOf(at, spec))
    if (securityContext?.windowsOptions) faults.forbidden(`${here}.securityContext.windowsOptions`, why)
}

const notOnWindows = {
  spec: ['hostUsers', 'hostPID', 'hostIPC', 'shareProcessNamespace'],
  pod: [
    'appArmorProfile',
    'seLinuxOptions',
    'seccompProfile',
    'fsGroup',
    'fsGroupChangePolicy',
    'sysctls',
    'runAsUser',
    'runAsGroup',
    'supplementalGroups',
    'supplementalGroupsPolicy',
    'seLinuxChangePolicy',
  ],
  container: [
    'appArmorProfile',
    'seLinuxOptions',
    'seccompProfile',
    'capabilities',
    'readOnlyRootFilesystem',
    'privileged',
    'allowPrivilegeEscalation',
    'procMount',
    'runAsUser',
    'runAsGroup',
  ],
} as const

function validateWindows(at: string, spec: PodSpec, faults: Faults): void {
  const why = 'cannot be set for a windows pod'
  for (const field of notOnWindows.spec) if (spec[field] !== undefined) faults.forbidden(`${at}.${field}`, why)
  for (const field of notOnWindows.pod)
    if (spec.securityContext?.[field] !== undefined) faults.forbidden(`${at}.securityContext.${field}`, why)
  for (const [here, { securityContext }] of containersOf(at, spec)) {
    if (!securityContext) continue
    for (const field of notOnWindows.container)
      if (securityContext[field] !== undefined) faults.forbidden(`${here}.securityContext.${field}`, why)
  }
}

/** Containers that are processes of a Windows host: all of a pod or none, and with the host's network. */
export function validateHostProcess(at: string, spec: PodSpec, faults: Faults): void {
  const whole = spec.securityContext?.windowsOptions?.hostProcess
  let [all, some] = [0, 0]
  for (const [here, { securityContext }] of containersOf(at, spec)) {
    const own = securityContext?.windowsOptions?.hostProcess
    if (whole !== undefined && own !== undefined && whole !== own) {
      const why = `pod hostProcess value must be identical if both are specified, was ${whole}`
      faults.invalid(`${here}.securityContext.windowsOptions.hostProcess`, own, why)
    }
    all += 1
    if (own ?? whole) some += 1
  }
  if (some === 0) return
  if (some !== all) faults.invalid(at, '', 'If pod contains any hostProcess containers then all containers must be HostProcess containers')
  if (!spec.hostNetwork) faults.invalid(`${at}.hostNetwork`, false, 'hostNetwork must be true if pod contains any hostProcess containers')
}
