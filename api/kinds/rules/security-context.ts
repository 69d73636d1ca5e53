// Rules for the security contexts of pods and of their containers.

import type {
  AppArmorProfile,
  PodSecurityContext,
  PodSpec,
  SeccompProfile,
  SecurityContext,
  WindowsSecurityContextOptions,
} from '../../types/core-v1.gen.ts'
import type { Faults } from './faults.ts'
import { validateDescendingPath } from './local-path.ts'
import { isDns1123Subdomain } from './names.ts'
import { isSysctlName, sysctlNamespace, wrongSysctlName } from './sysctls.ts'

const mostId = 2 ** 31 - 1
const profileTypes = ['Localhost', 'RuntimeDefault', 'Unconfined']
const longestPath = 4095

export function validatePodSecurity(at: string, spec: PodSpec, faults: Faults): void {
  const context = spec.securityContext
  if (!context) return
  validateId(`${at}.fsGroup`, context.fsGroup, faults)
  validateId(`${at}.runAsUser`, context.runAsUser, faults)
  validateId(`${at}.runAsGroup`, context.runAsGroup, faults)
  for (const [i, group] of (context.supplementalGroups ?? []).entries()) validateId(`${at}.supplementalGroups[${i}]`, group, faults)
  if (spec.shareProcessNamespace && spec.hostPID)
    faults.invalid(`${at}.shareProcessNamespace`, true, 'ShareProcessNamespace and HostPID cannot both be enabled')
  if (context.sysctls) validateSysctls(`${at}.sysctls`, context.sysctls, spec, faults)
  const chosen = (field: keyof PodSecurityContext, supported: string[]) => {
    if (context[field] !== undefined) faults.oneOf(`${at}.${field}`, context[field], supported)
  }
  chosen('fsGroupChangePolicy', ['Always', 'OnRootMismatch'])
  validateSeccomp(`${at}.seccompProfile`, context.seccompProfile, faults)
  validateWindows(`${at}.windowsOptions`, context.windowsOptions, faults)
  validateAppArmor(`${at}.appArmorProfile`, context.appArmorProfile, faults)
  chosen('supplementalGroupsPolicy', ['Merge', 'Strict'])
  chosen('seLinuxChangePolicy', ['MountOption', 'Recursive'])
}

/** Of a container; `hostUsers`: it has the host's user namespace. */
export function validateSecurity(at: string, context: SecurityContext | undefined, hostUsers: boolean, faults: Faults): void {
  if (!context) return
  validateId(`${at}.runAsUser`, context.runAsUser, faults)
  validateId(`${at}.runAsGroup`, context.runAsGroup, faults)
  if (context.procMount !== undefined) faults.oneOf(`${at}.procMount`, context.procMount, ['Default', 'Unmasked'])
  if (hostUsers && context.procMount === 'Unmasked')
    faults.invalid(`${at}.procMount`, context.procMount, '`hostUsers` must be false to use `Unmasked`')
  validateSeccomp(`${at}.seccompProfile`, context.seccompProfile, faults)
  if (context.allowPrivilegeEscalation === false) {
    if (context.privileged) faults.invalid(at, context, 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true')
    if (context.capabilities?.add?.includes('CAP_SYS_ADMIN'))
      faults.invalid(at, context, 'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN')
  }
  validateWindows(`${at}.windowsOptions`, context.windowsOptions, faults)
  validateAppArmor(`${at}.appArmorProfile`, context.appArmorProfile, faults)
}

function validateId(field: string, id: number | undefined, faults: Faults): void {
  if (id !== undefined && (id < 0 || id > mostId)) faults.invalid(field, id, `must be between 0 and ${mostId}, inclusive`)
}

function validateSysctls(at: string, sysctls: NonNullable<PodSecurityContext['sysctls']>, spec: PodSpec, faults: Faults): void {
  const seen = new Set<string>()
  for (const [i, { name }] of sysctls.entries()) {
    const field = `${at}[${i}].name`
    if (!name) faults.required(field)
    else if (!isSysctlName(name)) faults.invalid(field, name, wrongSysctlName)
    else if (seen.has(name)) faults.duplicate(field, name)
    seen.add(name)
    const space = sysctlNamespace(name)
    if (spec.hostNetwork && space === 'net') faults.invalid(field, name, "may not be specified when 'hostNetwork' is true")
    else if (spec.hostIPC && space === 'ipc') faults.invalid(field, name, "may not be specified when 'hostIPC' is true")
  }
}

function validateSeccomp(at: string, profile: SeccompProfile | undefined, faults: Faults): void {
  if (!profile) return
  const { type, localhostProfile } = profile
  if (!type) faults.required(`${at}.type`, 'type is required when seccompProfile is set')
  else faults.oneOf(`${at}.type`, type, profileTypes)
  if (type === 'Localhost') {
    if (localhostProfile === undefined) faults.required(`${at}.localhostProfile`, 'must be set when seccomp type is Localhost')
    else validateDescendingPath(`${at}.localhostProfile`, localhostProfile, faults)
  } else if (localhostProfile !== undefined)
    faults.invalid(`${at}.localhostProfile`, profile, 'can only be set when seccomp type is Localhost')
}

function validateAppArmor(at: string, profile: AppArmorProfile | undefined, faults: Faults): void {
  if (!profile) return
  const { type, localhostProfile } = profile
  const field = `${at}.localhostProfile`
  if (!type) faults.required(`${at}.type`, 'type is required when appArmorProfile is set')
  else if (type !== 'Localhost') {
    if (!profileTypes.includes(type)) faults.notSupported(`${at}.type`, type, profileTypes)
    else if (localhostProfile !== undefined) faults.invalid(field, localhostProfile, 'can only be set when AppArmor type is Localhost')
  } else if (!localhostProfile) faults.required(field, 'must be set when AppArmor type is Localhost')
  else {
    if (localhostProfile.trim() !== localhostProfile) faults.invalid(field, localhostProfile, 'must not be padded with whitespace')
    if (Buffer.byteLength(localhostProfile) > longestPath) faults.tooLong(field, longestPath)
  }
}

const specKiB = 64
const longest = { domain: 256, user: 104 }
const dnsLabel = '[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?'
const dnsDomain = new RegExp(`^${dnsLabel}(?:\\.${dnsLabel})*$`)
const netBiosDomain = /^[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}$/

function validateWindows(at: string, options: WindowsSecurityContextOptions | undefined, faults: Faults): void {
  if (!options) return
  const { gmsaCredentialSpecName: name, gmsaCredentialSpec: spec, runAsUserName } = options
  if (name !== undefined) faults.each(`${at}.gmsaCredentialSpecName`, name, isDns1123Subdomain(name))
  if (spec === '') faults.invalid(`${at}.gmsaCredentialSpec`, spec, 'gmsaCredentialSpec cannot be an empty string')
  else if (spec !== undefined && Buffer.byteLength(spec) > specKiB * 1024)
    faults.invalid(`${at}.gmsaCredentialSpec`, spec, `gmsaCredentialSpec size must be under ${specKiB} KiB`)
  if (runAsUserName !== undefined) faults.each(`${at}.runAsUserName`, runAsUserName, wrongUserName(runAsUserName))
}

function wrongUserName(text: string): string[] {
  if (text === '') return ['runAsUserName cannot be an empty string']
  if (/\p{Cc}/u.test(text)) return ['runAsUserName cannot contain control characters']
  const parts = text.split('\\')
  if (parts.length > 2) return ['runAsUserName cannot contain more than one backslash']
  const user = parts.at(-1) ?? ''
  const domain = parts.length === 2 ? parts[0] : undefined
  const wrong: string[] = []
  if (domain !== undefined && domain.length >= longest.domain)
    wrong.push(`runAsUserName's Domain length must be under ${longest.domain} characters`)
  if (domain !== undefined && !netBiosDomain.test(domain) && !dnsDomain.test(domain))
    wrong.push("runAsUserName's Domain doesn't match the NetBios nor the DNS format")
  if (user === '') wrong.push("runAsUserName's User cannot be empty")
  else if (user.length > longest.user) wrong.push(`runAsUserName's User length must not be longer than ${longest.user} characters`)
  if (/^[. ]+$/.test(user)) wrong.push("runAsUserName's User cannot contain only periods or spaces")
  if (/["/\\:;|=,+*?<>@[\]]/.test(user)) wrong.push('runAsUserName\'s User cannot contain the following characters: "/\\:;|=,+*?<>@[]')
  return wrong
}
