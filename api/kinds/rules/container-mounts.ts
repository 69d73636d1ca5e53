// Rules for where containers see the volumes of their pod, as files or as block devices.

import type { Container, Volume, VolumeMount } from '../../types/core-v1.gen.ts'
import type { Faults } from './faults.ts'
import { validateDescendingPath } from './local-path.ts'

/** Of a pod, by name: those that are sound. */
export type Volumes = ReadonlyMap<string, Volume>

/** A path on Windows may begin with its drive. */
const drive = /^[A-Za-z]:[^:]*$/
const propagations = ['Bidirectional', 'HostToContainer', 'None']

export function validateMounts(at: string, container: Container, volumes: Volumes, faults: Faults): void {
  const { volumeMounts: mounts, volumeDevices: devices } = container
  if (mounts) validateVolumeMounts(`${at}.volumeMounts`, mounts, container, volumes, faults)
  if (devices) validateDevices(`${at}.volumeDevices`, devices, container, volumes, faults)
}

function validateVolumeMounts(at: string, mounts: VolumeMount[], container: Container, volumes: Volumes, faults: Faults): void {
  const paths = new Set<string>()
  const devices = new Set(container.volumeDevices?.map(({ name }) => name))
  const devicePaths = new Set(container.volumeDevices?.map(({ devicePath }) => devicePath))
  for (const [i, mount] of mounts.entries()) {
    const { name, mountPath, subPath, subPathExpr } = mount
    const here = `${at}[${i}]`
    const volume = volumes.get(name)
    if (!name) faults.required(`${here}.name`)
    if (!volume) faults.notFound(`${here}.name`, name)
    if (!mountPath) faults.required(`${here}.mountPath`)
    else if (mountPath.includes(':') && !drive.test(mountPath)) faults.invalid(`${here}.mountPath`, mountPath, "must not contain ':'")
    if (paths.has(mountPath)) faults.invalid(`${here}.mountPath`, mountPath, 'must be unique')
    paths.add(mountPath)
    if (devices.has(name)) faults.invalid(`${here}.name`, name, 'must not already exist in volumeDevices')
    if (devicePaths.has(mountPath)) faults.invalid(`${here}.mountPath`, mountPath, 'must not already exist as a path in volumeDevices')
    if (subPath) validateDescendingPath(`${at}.subPath`, subPath, faults)
    if (subPathExpr) {
      if (subPath) faults.invalid(`${here}.subPathExpr`, subPathExpr, 'subPathExpr and subPath are mutually exclusive')
      validateDescendingPath(`${at}.subPathExpr`, subPathExpr, faults)
    }
    validatePropagation(at, mount, container, faults)
  }
}

function validatePropagation(at: string, mount: VolumeMount, container: Container, faults: Faults): void {
  const { mountPropagation: propagation, recursiveReadOnly: recursive, readOnly } = mount
  if (propagation !== undefined) faults.oneOf(`${at}.mountPropagation`, propagation, propagations)
  if (propagation === 'Bidirectional' && !container.securityContext?.privileged)
    faults.forbidden(`${at}.mountPropagation`, 'Bidirectional mount propagation is available only to privileged containers')
  if (recursive === undefined || recursive === 'Disabled') return
  const field = `${at}.recursiveReadOnly`
  if (recursive !== 'Enabled' && recursive !== 'IfPossible')
    return faults.notSupported(field, recursive, ['Disabled', 'Enabled', 'IfPossible'])
  if (!readOnly) faults.forbidden(field, 'may only be specified when readOnly is true')
  if (propagation !== undefined && propagation !== 'None')
    faults.forbidden(field, 'may only be specified when mountPropagation is None or not specified')
}

function validateDevices(
  at: string,
  devices: NonNullable<Container['volumeDevices']>,
  container: Container,
  volumes: Volumes,
  faults: Faults,
): void {
  const names = new Set<string>()
  const paths = new Set<string>()
  const mounts = new Set(container.volumeMounts?.map(({ name }) => name))
  const mountPaths = new Set(container.volumeMounts?.map(({ mountPath }) => mountPath))
  for (const [i, { name, devicePath }] of devices.entries()) {
    const here = `${at}[${i}]`
    const volume = volumes.get(name)
    if (!name) faults.required(`${here}.name`)
    if (names.has(name)) faults.invalid(`${here}.name`, name, 'must be unique')
    if (!volume) faults.notFound(`${here}.name`, name)
    else if (!volume.persistentVolumeClaim && !volume.ephemeral)
      faults.invalid(`${here}.name`, name, 'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode')
    if (!devicePath) faults.required(`${here}.devicePath`)
    if (paths.has(devicePath)) faults.invalid(`${here}.devicePath`, devicePath, 'must be unique')
    if (devicePath?.split('/').includes('..')) faults.invalid(`${here}.devicePath`, devicePath, "can not contain backsteps ('..')")
    if (mounts.has(name)) faults.invalid(`${here}.name`, name, 'must not already exist in volumeMounts')
    if (mountPaths.has(devicePath)) faults.invalid(`${here}.devicePath`, devicePath, 'must not already exist as a path in volumeMounts')
    names.add(name)
    paths.add(devicePath)
  }
}
