// Rules for annotations of pods and templates that mean something: older names of fields, mostly.

import type { AppArmorProfile, PodSpec, SeccompProfile } from '../../types/core-v1.gen.ts'
import type { Faults } from './faults.ts'
import { validateDescendingPath } from './local-path.ts'
import { containersOf } from './pod-os.ts'

type Annotations = Readonly<Record<string, string>>

export const mirrorKey = 'kubernetes.io/config.mirror'
export const appArmorPrefix = 'container.apparmor.security.beta.kubernetes.io/'
export const seccompKey = 'seccomp.security.alpha.kubernetes.io/pod'
export const seccompPrefix = 'container.seccomp.security.alpha.kubernetes.io/'
const costKey = 'controller.kubernetes.io/pod-deletion-cost'

export function validatePodAnnotations(at: string, annotations: Annotations | undefined, spec: PodSpec, faults: Faults): void {
  if (!annotations) return
  const mirror = annotations[mirrorKey]
  if (mirror !== undefined && !spec.nodeName)
    faults.invalid(`${at}[${mirrorKey}]`, mirror, 'must set spec.nodeName if mirror pod annotation is set')
  const cost = annotations[costKey]
  if (cost !== undefined && !isCost(cost)) faults.invalid(`${at}[${costKey}]`, cost, 'must be a 32bit integer')
  for (const [key, value] of Object.entries(annotations)) {
    if (key === seccompKey || key.startsWith(seccompPrefix)) validateSeccomp(`${at}.${key}`, value, faults)
    else if (key.startsWith(appArmorPrefix)) validateAppArmor(`${at}[${key}]`, key.slice(appArmorPrefix.length), value, spec, faults)
  }
}

const isCost = (text: string) => /^(0|-?[1-9]\d*)$/.test(text) && Number(text) >= -(2 ** 31) && Number(text) < 2 ** 31

function validateSeccomp(field: string, value: string, faults: Faults): void {
  if (['runtime/default', 'docker/default', 'unconfined'].includes(value)) return
  if (value.startsWith('localhost/')) validateDescendingPath(field, value.slice('localhost/'.length), faults)
  else faults.invalid(field, value, 'must be a valid seccomp profile')
}

function validateAppArmor(field: string, name: string, value: string, spec: PodSpec, faults: Faults): void {
  let found = false
  for (const [, container] of containersOf('', spec)) found ||= container.name === name
  if (!found) faults.invalid(field, name, 'container not found')
  if (value !== '' && value !== 'runtime/default' && value !== 'unconfined' && !value.startsWith('localhost/'))
    faults.invalid(field, value, `invalid AppArmor profile name: ${JSON.stringify(value)}`)
}

/** What the annotations and the fields of a new pod say of its profiles must be the same. */
export function validateProfiles(at: string, annotations: Annotations | undefined, spec: PodSpec, faults: Faults): void {
  if (!annotations) return
  const forPod = annotations[seccompKey]
  const own = spec.securityContext
  if (forPod !== undefined && own?.seccompProfile)
    compare(`${at}.securityContext.seccompProfile`, 'seccomp', own.seccompProfile, forPod, faults)
  for (const [here, { name, securityContext }] of containersOf(at, spec)) {
    const seccomp = annotations[`${seccompPrefix}${name}`]
    if (seccomp !== undefined && securityContext?.seccompProfile)
      compare(`${here}.securityContext.seccompProfile`, 'seccomp', securityContext.seccompProfile, seccomp, faults)
    const armor = annotations[`${appArmorPrefix}${name}`]
    const profile = securityContext?.appArmorProfile ?? own?.appArmorProfile
    if (armor !== undefined && profile && spec.os?.name !== 'windows')
      compare(`${here}.securityContext.appArmorProfile`, 'apparmor', profile, armor, faults)
  }
}

function compare(at: string, what: string, profile: SeccompProfile | AppArmorProfile, annotation: string, faults: Faults): void {
  const [local, path] = annotation.startsWith('localhost/') ? [true, annotation.slice('localhost/'.length)] : [false, undefined]
  const sameType =
    profile.type === 'Localhost'
      ? local
      : profile.type === 'Unconfined'
        ? annotation === 'unconfined'
        : annotation === 'runtime/default' || (what === 'seccomp' && annotation === 'docker/default')
  if (!sameType) faults.forbidden(`${at}.type`, `${what} type in annotation and field must match`)
  else if (local && profile.localhostProfile !== path)
    faults.forbidden(`${at}.localhostProfile`, `${what} profile in annotation and field must match`)
}

export function validateAnnotationsUpdate(next: Annotations = {}, previous: Annotations = {}, faults: Faults): void {
  const changed = (key: string, how: string) => {
    const field = `metadata.annotations[${key}]`
    if (key.startsWith(appArmorPrefix)) faults.forbidden(field, `may not ${how} AppArmor annotations`)
    if (key === mirrorKey) faults.forbidden(field, `may not ${how} mirror pod annotation`)
  }
  for (const key of Object.keys(previous)) if (next[key] !== previous[key]) changed(key, 'remove or update')
  for (const key of Object.keys(next)) if (previous[key] === undefined) changed(key, 'add')
}
