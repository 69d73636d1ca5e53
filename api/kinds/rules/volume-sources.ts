// Rules for what stands behind a volume, in pods and in persistent volumes. Of the sources that only clouds
// have, no more than what must be there.

import type { PersistentVolumeSpec, SecretReference, VolumeSource } from '../../types/core-v1.gen.ts'
import type { Faults } from './faults.ts'
import { validateDescendingPath, validateNoBacksteps } from './local-path.ts'
import { isDns1123Label, isDns1123Subdomain } from './names.ts'

type Source = Pick<
  VolumeSource,
  'hostPath' | 'nfs' | 'fc' | 'gitRepo' | 'gcePersistentDisk' | 'awsElasticBlockStore' | 'iscsi' | 'flexVolume'
> &
  Pick<PersistentVolumeSpec, 'local'>

/** What each source must name. */
const needed: Readonly<Record<string, readonly string[]>> = {
  gitRepo: ['repository'],
  gcePersistentDisk: ['pdName'],
  awsElasticBlockStore: ['volumeID'],
  nfs: ['server', 'path'],
  iscsi: ['targetPortal', 'iqn'],
  glusterfs: ['endpoints', 'path'],
  rbd: ['monitors', 'image'],
  flexVolume: ['driver'],
  cinder: ['volumeID'],
  cephfs: ['monitors'],
  azureFile: ['secretName', 'shareName'],
  vsphereVolume: ['volumePath'],
  quobyte: ['registry', 'volume'],
  azureDisk: ['diskName', 'diskURI'],
  photonPersistentDisk: ['pdID'],
  portworxVolume: ['volumeID'],
  scaleIO: ['gateway', 'system', 'volumeName'],
  storageos: ['volumeName'],
}

/** Kinds of volumes that Kubernetes has given up. */
export const oldVolumes = new Map([
  ['photonPersistentDisk', 'deprecated in v1.11, non-functional in v1.16+'],
  ['gitRepo', 'deprecated in v1.11, and disabled by default in v1.33+'],
  ['scaleIO', 'deprecated in v1.16, non-functional in v1.22+'],
  ['flocker', 'deprecated in v1.22, non-functional in v1.25+'],
  ['storageos', 'deprecated in v1.22, non-functional in v1.25+'],
  ['quobyte', 'deprecated in v1.22, non-functional in v1.25+'],
  ['glusterfs', 'deprecated in v1.25, non-functional in v1.26+'],
  ['cephfs', 'deprecated in v1.28, non-functional in v1.31+'],
  ['rbd', 'deprecated in v1.28, non-functional in v1.31+'],
])

const hostPathTypes = ['', 'BlockDevice', 'CharDevice', 'Directory', 'DirectoryOrCreate', 'File', 'FileOrCreate', 'Socket']

/** `kind` is the one that is set. */
export function validateSource(at: string, kind: string, source: VolumeSource | PersistentVolumeSpec, faults: Faults): void {
  const here = `${at}.${kind}`
  const given = (source as Record<string, Record<string, unknown> | undefined>)[kind]
  for (const field of needed[kind] ?? []) {
    const value = given?.[field]
    if (!value || (Array.isArray(value) && value.length === 0)) faults.required(`${here}.${field}`)
  }
  const { hostPath, nfs, iscsi, fc, gitRepo, local, flexVolume, gcePersistentDisk, awsElasticBlockStore } = source as Source
  if (hostPath && kind === 'hostPath') {
    if (!hostPath.path) return faults.required(`${here}.path`)
    validateNoBacksteps(`${here}.path`, hostPath.path, faults)
    if (hostPath.type !== undefined) faults.oneOf(`${here}.type`, hostPath.type, hostPathTypes)
  } else if (kind === 'nfs' && nfs) {
    if (!nfs.path?.startsWith('/')) faults.invalid(`${here}.path`, nfs.path, 'must be an absolute path')
  } else if (kind === 'iscsi' && iscsi) validateIscsi(here, iscsi, faults)
  else if (kind === 'fc' && fc) validateFibreChannel(here, fc, faults)
  else if (kind === 'gitRepo' && gitRepo?.directory) validateDescendingPath(`${here}.directory`, gitRepo.directory, faults)
  else if (kind === 'local' && local) {
    if (!local.path) return faults.required(`${here}.path`)
    validateNoBacksteps(`${here}.path`, local.path, faults)
  } else if (kind === 'flexVolume') {
    for (const key of Object.keys(flexVolume?.options ?? {})) {
      if (/(^|\.)(kubernetes\.io|k8s\.io)$/.test((key.split('/')[0] ?? '').toLowerCase()))
        faults.invalid(`${here}.options[${key}]`, key, 'kubernetes.io and k8s.io namespaces are reserved')
    }
  }
  const partition = (kind === 'gcePersistentDisk' ? gcePersistentDisk : kind === 'awsElasticBlockStore' ? awsElasticBlockStore : undefined)
    ?.partition
  if (partition !== undefined && (partition < 0 || partition > 255))
    faults.invalid(`${here}.partition`, partition, 'must be between 1 and 255, inclusive')
}

/** Names of initiators and targets (RFC 3720, section 3.2.6). */
const iscsiForms: Readonly<Record<string, RegExp>> = {
  iqn: /iqn\.\d{4}-\d{2}\.([A-Za-z0-9\-.]+)(:[^,;*&$|\s]+)$/,
  eui: /^eui.[A-Za-z0-9]{16}$/,
  naa: /^naa.[A-Za-z0-9]{32}$/,
}

function validateIscsi(at: string, source: NonNullable<Source['iscsi']>, faults: Faults): void {
  const { iqn, lun, initiatorName, chapAuthDiscovery, chapAuthSession, secretRef } = source
  if (iqn) validateIscsiName(`${at}.iqn`, iqn, faults)
  if (lun < 0 || lun > 255) faults.invalid(`${at}.lun`, lun, 'must be between 0 and 255, inclusive')
  if ((chapAuthDiscovery || chapAuthSession) && !secretRef) faults.required(`${at}.secretRef`)
  if (initiatorName !== undefined) validateIscsiName(`${at}.initiatorname`, initiatorName, faults)
}

function validateIscsiName(field: string, name: string, faults: Faults): void {
  const form = iscsiForms[name.slice(0, 3)]
  if (!form) faults.invalid(field, name, 'must be valid format starting with iqn, eui, or naa')
  else if (!form.test(name)) faults.invalid(field, name, 'must be valid format')
}

function validateFibreChannel(at: string, { targetWWNs, wwids, lun }: NonNullable<Source['fc']>, faults: Faults): void {
  const [byTarget, byId] = [(targetWWNs?.length ?? 0) > 0, (wwids?.length ?? 0) > 0]
  if (!byTarget && !byId) faults.required(`${at}.targetWWNs`, 'must specify either targetWWNs or wwids, but not both')
  if (byTarget && byId) faults.invalid(`${at}.targetWWNs`, targetWWNs, 'targetWWNs and wwids can not be specified simultaneously')
  if (!byTarget) return
  if (lun === undefined) faults.required(`${at}.lun`, 'lun is required if targetWWNs is specified')
  else if (lun < 0 || lun > 255) faults.invalid(`${at}.lun`, lun, 'must be between 0 and 255, inclusive')
}

export function validateCsiName(field: string, driver: string | undefined, faults: Faults): void {
  if (!driver) return faults.required(field)
  if (driver.length > 63) faults.tooLong(field, 63)
  const lower = driver.toLowerCase()
  for (const why of isDns1123Subdomain(lower)) faults.invalid(field, driver, why)
}

/** Of a persistent volume, which has no namespace of its own. */
export function validateSecretRef(at: string, ref: SecretReference | undefined, faults: Faults): void {
  if (!ref) return
  if (!ref.name) faults.required(`${at}.name`)
  else faults.each(`${at}.name`, ref.name, isDns1123Subdomain(ref.name))
  if (!ref.namespace) faults.required(`${at}.namespace`)
  else faults.each(`${at}.namespace`, ref.namespace, isDns1123Label(ref.namespace))
}
