// Rules for the volumes of a pod. Sources that persistent volumes have, too, are in volume-sources.ts.

import { compareQuantity } from '../../quantity.ts'
import type { EphemeralVolumeSource, Volume } from '../../types/core-v1.gen.ts'
import type { ObjectMeta } from '../../types/meta-v1.gen.ts'
import { validateClaimSpec } from './claim-validation.ts'
import type { Volumes } from './container-mounts.ts'
import type { Faults } from './faults.ts'
import { validateAnnotations, validateLabels } from './meta.ts'
import { isDns1123Label, isDns1123Subdomain } from './names.ts'
import { validateDownwardFile, validateItems, validateMode, validateProjected } from './projected-volumes.ts'
import { validateCsiName, validateSource } from './volume-sources.ts'

/** `pod` is the metadata of the pod itself; undefined for a template. Returns the sound volumes by name. */
export function validateVolumes(at: string, volumes: readonly Volume[], pod: ObjectMeta | undefined, faults: Faults): Volumes {
  const sound = new Map<string, Volume>()
  for (const [i, volume] of volumes.entries()) {
    const here = `${at}[${i}]`
    const before = faults.list.length
    validateVolume(here, volume, pod, faults)
    if (!volume.name) faults.required(`${here}.name`)
    else faults.each(`${here}.name`, volume.name, isDns1123Label(volume.name))
    if (sound.has(volume.name)) faults.duplicate(`${here}.name`, volume.name)
    if (faults.list.length === before) sound.set(volume.name, volume)
  }
  if (pod?.name) validateClaims(at, volumes, pod.name, faults)
  return sound
}

/** The claim of an ephemeral volume is the pod's own: no other volume may name it. */
function validateClaims(at: string, volumes: readonly Volume[], pod: string, faults: Faults): void {
  const made = new Set(volumes.filter(({ ephemeral }) => ephemeral).map(({ name }) => `${pod}-${name}`))
  if (made.size === 0) return
  for (const [i, { persistentVolumeClaim: claim }] of volumes.entries()) {
    if (claim && made.has(claim.claimName)) {
      const why = 'must not reference a PVC that gets created for an ephemeral volume'
      faults.invalid(`${at}[${i}].persistentVolumeClaim.claimName`, claim.claimName, why)
    }
  }
}

function validateVolume(at: string, volume: Volume, pod: ObjectMeta | undefined, faults: Faults): void {
  let first: string | undefined
  for (const kind in volume) {
    if (kind === 'name' || volume[kind as keyof Volume] === undefined) continue
    if (first) faults.forbidden(`${at}.${kind}`, 'may not specify more than 1 volume type')
    first ??= kind
  }
  if (!first) return faults.required(at, 'must specify a volume type')
  const here = `${at}.${first}`
  const { emptyDir, secret, configMap, persistentVolumeClaim, downwardAPI, projected, csi, ephemeral, image } = volume
  switch (first) {
    case 'emptyDir':
      if (emptyDir?.sizeLimit !== undefined && compareQuantity(emptyDir.sizeLimit, '0') < 0)
        faults.forbidden(`${here}.sizeLimit`, 'SizeLimit field must be a valid resource quantity')
      break
    case 'secret':
      if (!secret?.secretName) faults.required(`${here}.secretName`)
      validateItems(here, secret?.items, secret?.defaultMode, faults)
      break
    case 'configMap':
      if (!configMap?.name) faults.required(`${here}.name`)
      validateItems(here, configMap?.items, configMap?.defaultMode, faults)
      break
    case 'persistentVolumeClaim':
      if (!persistentVolumeClaim?.claimName) faults.required(`${here}.claimName`)
      break
    case 'downwardAPI':
      validateMode(`${here}.defaultMode`, downwardAPI?.defaultMode, faults)
      for (const file of downwardAPI?.items ?? []) validateDownwardFile(here, file, faults)
      break
    case 'projected':
      if (projected) validateProjected(here, projected, faults)
      break
    case 'csi':
      if (csi) validateInlineCsi(here, csi, faults)
      break
    case 'ephemeral':
      if (ephemeral) validateEphemeral(at, volume.name, ephemeral, pod?.name, faults)
      break
    case 'image':
      if (pod && !image?.reference) faults.required(`${here}.reference`)
      if (!image?.pullPolicy) faults.required(`${here}.pullPolicy`)
      else faults.oneOf(`${here}.pullPolicy`, image.pullPolicy, ['Always', 'IfNotPresent', 'Never'])
      break
    case 'iscsi':
      validateSource(at, first, volume, faults)
      if (volume.iscsi?.initiatorName !== undefined && `${volume.name}:${volume.iscsi.targetPortal}`.length > 64) {
        const most = 'must be under 64 characters if iscsi.initiatorName is specified.'
        faults.invalid(`${at}.name`, volume.name, `Total length of <volume name>:<iscsi.targetPortal> ${most}`)
      }
      break
    default:
      validateSource(at, first, volume, faults)
  }
}

function validateInlineCsi(at: string, { driver, nodePublishSecretRef: secret }: NonNullable<Volume['csi']>, faults: Faults): void {
  validateCsiName(`${at}.driver`, driver, faults)
  if (!secret) return
  if (!secret.name) faults.required(`${at}.nodePublishSecretRef.name`)
  else faults.each(`${at}.name`, secret.name, isDns1123Subdomain(secret.name))
}

function validateEphemeral(
  at: string,
  name: string,
  { volumeClaimTemplate: template }: EphemeralVolumeSource,
  pod: string | undefined,
  faults: Faults,
): void {
  const here = `${at}.ephemeral.volumeClaimTemplate`
  if (!template) faults.required(here)
  else {
    const { labels, annotations, ...others } = template.metadata ?? {}
    validateAnnotations(`${here}.metadata.annotations`, annotations, faults)
    validateLabels(`${here}.metadata.labels`, labels, faults)
    for (const [field, value] of Object.entries(others)) {
      if (value !== undefined && value !== null) faults.forbidden(`${here}.metadata.${field}`, 'cannot be set')
    }
    validateClaimSpec(`${here}.spec`, template.spec ?? { resources: {} }, faults)
  }
  if (!pod || !name) return
  const claim = `${pod}-${name}`
  for (const why of isDns1123Subdomain(claim)) faults.invalid(`${at}.name`, name, `PVC name ${JSON.stringify(claim)}: ${why}`)
}
