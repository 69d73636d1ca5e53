// Rules for a pod spec, in pods and templates (pkg/apis/core/validation). Containers are in container-validation.ts.

import type { PodSpec, Volume } from '../types/core-v1.gen.ts'
import { validateContainers } from './container-validation.ts'
import type { Faults } from './faults.ts'
import { isDns1123Label, isDns1123Subdomain, isIP } from './names.ts'

const restartPolicies = ['Always', 'OnFailure', 'Never']
const dnsPolicies = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None']
const mostSeconds = 2 ** 31 - 1

export function validatePodSpec(field: string, spec: PodSpec, faults: Faults): void {
  const volumes = validateVolumes(`${field}.volumes`, spec.volumes ?? [], faults)
  if (!spec.containers?.length) faults.required(`${field}.containers`)
  validateContainers(field, spec, volumes, faults)
  faults.oneOf(`${field}.restartPolicy`, spec.restartPolicy, restartPolicies)
  faults.oneOf(`${field}.dnsPolicy`, spec.dnsPolicy, dnsPolicies)
  if (spec.dnsPolicy === 'None' && !spec.dnsConfig?.nameservers?.length) {
    faults.required(`${field}.dnsConfig.nameservers`, 'must provide at least one DNS nameserver when `dnsPolicy` is None')
  }
  for (const [i, server] of (spec.dnsConfig?.nameservers ?? []).entries())
    faults.each(`${field}.dnsConfig.nameservers[${i}]`, server, isIP(server))
  faults.notNegative(`${field}.terminationGracePeriodSeconds`, spec.terminationGracePeriodSeconds)
  const deadline = spec.activeDeadlineSeconds
  if (deadline !== undefined && (deadline < 1 || deadline > mostSeconds)) {
    faults.invalid(`${field}.activeDeadlineSeconds`, deadline, `must be between 1 and ${mostSeconds}, inclusive`)
  }
  if (spec.serviceAccountName)
    faults.each(`${field}.serviceAccountName`, spec.serviceAccountName, isDns1123Subdomain(spec.serviceAccountName))
  if (spec.nodeName) faults.each(`${field}.nodeName`, spec.nodeName, isDns1123Subdomain(spec.nodeName))
  if (spec.hostname) faults.each(`${field}.hostname`, spec.hostname, isDns1123Label(spec.hostname))
  if (spec.subdomain) faults.each(`${field}.subdomain`, spec.subdomain, isDns1123Label(spec.subdomain))
  if (spec.hostNetwork) {
    for (const [i, container] of (spec.containers ?? []).entries()) {
      for (const [j, port] of (container.ports ?? []).entries()) {
        if (port.hostPort && port.hostPort !== port.containerPort) {
          faults.invalid(
            `${field}.containers[${i}].ports[${j}].containerPort`,
            port.containerPort,
            'must match `hostPort` when `hostNetwork` is true',
          )
        }
      }
    }
  }
  if (spec.shareProcessNamespace && spec.hostPID)
    faults.invalid(`${field}.shareProcessNamespace`, true, 'ShareProcessNamespace and HostPID cannot both be enabled')
  for (const [i, alias] of (spec.hostAliases ?? []).entries()) {
    if (alias.ip !== undefined) faults.each(`${field}.hostAliases[${i}].ip`, alias.ip, isIP(alias.ip))
    for (const [j, name] of (alias.hostnames ?? []).entries())
      faults.each(`${field}.hostAliases[${i}].hostnames[${j}]`, name, isDns1123Subdomain(name))
  }
  for (const [i, secret] of (spec.imagePullSecrets ?? []).entries()) {
    if (!secret.name) faults.required(`${field}.imagePullSecrets[${i}].name`)
  }
}

/** Returns the names of the volumes. */
function validateVolumes(field: string, volumes: Volume[], faults: Faults): Set<string> {
  const names = new Set<string>()
  for (const [i, volume] of volumes.entries()) {
    const at = `${field}[${i}]`
    if (!volume.name) faults.required(`${at}.name`)
    else if (names.has(volume.name)) faults.duplicate(`${at}.name`, volume.name)
    else faults.each(`${at}.name`, volume.name, isDns1123Label(volume.name))
    names.add(volume.name)
    const sources = Object.keys(volume).filter((key) => key !== 'name' && volume[key as keyof Volume] !== undefined)
    if (sources.length === 0) faults.required(at, 'must specify a volume type')
    for (const extra of sources.slice(1)) faults.forbidden(`${at}.${extra}`, 'may not specify more than 1 volume type')
    validateSource(at, volume, faults)
  }
  return names
}

const hostPathTypes = ['', 'DirectoryOrCreate', 'Directory', 'FileOrCreate', 'File', 'Socket', 'CharDevice', 'BlockDevice']

function validateSource(at: string, volume: Volume, faults: Faults): void {
  if (volume.hostPath) {
    if (!volume.hostPath.path) faults.required(`${at}.hostPath.path`)
    else if (volume.hostPath.path.split('/').includes('..'))
      faults.invalid(`${at}.hostPath.path`, volume.hostPath.path, "must not contain '..'")
    faults.oneOf(`${at}.hostPath.type`, volume.hostPath.type ?? '', hostPathTypes)
  }
  if (volume.secret) {
    if (!volume.secret.secretName) faults.required(`${at}.secret.secretName`)
    validateItems(`${at}.secret`, volume.secret.items, volume.secret.defaultMode, faults)
  }
  if (volume.configMap) {
    if (!volume.configMap.name) faults.required(`${at}.configMap.name`)
    validateItems(`${at}.configMap`, volume.configMap.items, volume.configMap.defaultMode, faults)
  }
  if (volume.persistentVolumeClaim && !volume.persistentVolumeClaim.claimName) faults.required(`${at}.persistentVolumeClaim.claimName`)
  for (const [i, source] of (volume.projected?.sources ?? []).entries()) {
    const here = `${at}.projected.sources[${i}]`
    if (Object.keys(source).length > 1) faults.forbidden(here, 'may not specify more than 1 volume type')
    const token = source.serviceAccountToken
    if (token && !token.path) faults.required(`${here}.serviceAccountToken.path`)
    if (token && (token.expirationSeconds ?? 3600) < 600) {
      faults.invalid(
        `${here}.serviceAccountToken.expirationSeconds`,
        token.expirationSeconds,
        'may not specify a duration less than 10 minutes',
      )
    }
  }
}

function validateItems(
  at: string,
  items: { key: string; path: string; mode?: number }[] | undefined,
  mode: number | undefined,
  faults: Faults,
): void {
  validateMode(`${at}.defaultMode`, mode, faults)
  for (const [i, item] of (items ?? []).entries()) {
    if (!item.key) faults.required(`${at}.items[${i}].key`)
    if (!item.path) faults.required(`${at}.items[${i}].path`)
    else if (item.path.startsWith('/')) faults.invalid(`${at}.items[${i}].path`, item.path, 'must be a relative path')
    else if (item.path.split('/').includes('..')) faults.invalid(`${at}.items[${i}].path`, item.path, "must not contain '..'")
    validateMode(`${at}.items[${i}].mode`, item.mode, faults)
  }
}

function validateMode(field: string, mode: number | undefined, faults: Faults): void {
  if (mode !== undefined && (mode < 0 || mode > 0o777))
    faults.invalid(field, mode, 'must be a number between 0 and 0777 (octal), both inclusive')
}
