// Rules for volumes that are written by the agent: keys of secrets and config maps, the downward API, tokens.

import type { DownwardAPIVolumeFile, KeyToPath, ProjectedVolumeSource, VolumeProjection } from '../../types/core-v1.gen.ts'
import { forFiles, validateFieldRef, validateResourceRef } from './container-env.ts'
import type { Faults } from './faults.ts'
import { validateSigner } from './forms.ts'
import { validateNonReservedPath } from './local-path.ts'
import { validateAnnotations } from './meta.ts'
import { isDns1123Subdomain } from './names.ts'
import { validateLabelSelector } from './workload.ts'

const tokenSeconds = { least: 600, most: 2 ** 32 }
const certificateSeconds = { least: 3600, most: 91 * 86_400, mostOfKubernetes: 86_400 }
const conflict = 'conflicting duplicate paths'

export function validateMode(field: string, mode: number | undefined, faults: Faults): void {
  if (mode !== undefined && (mode < 0 || mode > 0o777))
    faults.invalid(field, mode, 'must be a number between 0 and 0777 (octal), both inclusive')
}

export function validateItems(at: string, items: KeyToPath[] | undefined, mode: number | undefined, faults: Faults): void {
  validateMode(`${at}.defaultMode`, mode, faults)
  for (const [i, item] of (items ?? []).entries()) validateItem(`${at}.items[${i}]`, item, faults)
}

function validateItem(at: string, { key, path, mode }: KeyToPath, faults: Faults): void {
  if (!key) faults.required(`${at}.key`)
  validatePath(at, path, faults)
  validateMode(`${at}.mode`, mode, faults)
}

function validatePath(at: string, path: string, faults: Faults): void {
  if (!path) faults.required(`${at}.path`)
  else validateNonReservedPath(`${at}.path`, path, faults)
}

export function validateDownwardFile(at: string, file: DownwardAPIVolumeFile, faults: Faults): void {
  const { path, fieldRef, resourceFieldRef, mode } = file
  validatePath(at, path, faults)
  if (fieldRef) {
    validateFieldRef(`${at}.fieldRef`, fieldRef, forFiles, faults)
    if (resourceFieldRef) faults.invalid(at, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously')
  } else if (resourceFieldRef) validateResourceRef(`${at}.resourceFieldRef`, resourceFieldRef, true, faults)
  else faults.required(at, 'one of fieldRef and resourceFieldRef is required')
  validateMode(`${at}.mode`, mode, faults)
}

export function validateProjected(at: string, { sources, defaultMode }: ProjectedVolumeSource, faults: Faults): void {
  validateMode(`${at}.defaultMode`, defaultMode, faults)
  const paths = new Set<string>()
  /** `value` is what the message names for the conflict. */
  const claim = (path: string | undefined, value: string | undefined) => {
    if (!path) return
    if (paths.has(path)) faults.invalid(at, value ?? '', conflict)
    paths.add(path)
  }
  for (const [i, source] of (sources ?? []).entries()) {
    const here = `${at}.sources[${i}]`
    for (const kind of ['secret', 'configMap'] as const) {
      const projection = source?.[kind]
      if (!projection) continue
      if (!projection.name) faults.required(`${here}.${kind}.name`)
      for (const [j, item] of (projection.items ?? []).entries()) {
        validateItem(`${here}.${kind}.items[${j}]`, item, faults)
        claim(item.path, projection.name)
      }
    }
    for (const file of source?.downwardAPI?.items ?? []) {
      validateDownwardFile(`${here}.downwardAPI`, file, faults)
      claim(file.path, file.path)
    }
    const { serviceAccountToken: token, clusterTrustBundle: bundle } = source ?? {}
    if (token) validateToken(at, `${here}.serviceAccountToken`, token, faults)
    if (bundle) {
      validateBundle(`${here}.clusterTrustBundle`, bundle, faults)
      claim(bundle.path, bundle.path)
    }
    if (source?.podCertificate) {
      validateCertificate(`${here}.podCertificate`, source.podCertificate, faults)
      for (const kind of certificatePaths) claim(source.podCertificate[kind], source.podCertificate[kind])
    }
    if (Object.keys(source ?? {}).length > 1) faults.forbidden(here, 'may not specify more than 1 volume type per source')
  }
}

function validateToken(at: string, here: string, token: NonNullable<VolumeProjection['serviceAccountToken']>, faults: Faults): void {
  const { expirationSeconds: seconds = 3600, path } = token
  if (seconds < tokenSeconds.least) faults.invalid(`${here}.expirationSeconds`, seconds, 'may not specify a duration less than 10 minutes')
  if (seconds > tokenSeconds.most)
    faults.invalid(`${here}.expirationSeconds`, seconds, 'may not specify a duration larger than 2^32 seconds')
  validatePath(at, path, faults)
}

const certificatePaths = ['credentialBundlePath', 'keyPath', 'certificateChainPath'] as const
const keyTypes = ['RSA3072', 'RSA4096', 'ECDSAP256', 'ECDSAP384', 'ECDSAP521', 'ED25519']

function validateCertificate(at: string, certificate: NonNullable<VolumeProjection['podCertificate']>, faults: Faults): void {
  const { signerName = '', keyType = '', maxExpirationSeconds: seconds, userAnnotations } = certificate
  validateSigner(`${at}.signerName`, signerName, faults)
  if (userAnnotations) validateAnnotations(`${at}.userAnnotations`, userAnnotations, faults)
  faults.oneOf(`${at}.keyType`, keyType, keyTypes)
  const most = signerName.startsWith('kubernetes.io/') ? certificateSeconds.mostOfKubernetes : certificateSeconds.most
  const field = `${at}.maxExpirationSeconds`
  if (seconds !== undefined && seconds < certificateSeconds.least)
    faults.invalid(field, seconds, `if provided, maxExpirationSeconds must be >= ${certificateSeconds.least}`)
  if (seconds !== undefined && seconds > most) faults.invalid(field, seconds, `if provided, maxExpirationSeconds must be <= ${most}`)
  for (const kind of certificatePaths) if (certificate[kind]) validateNonReservedPath(`${at}.${kind}`, certificate[kind], faults)
  if (certificatePaths.every((kind) => !certificate[kind]))
    faults.required(at, 'specify at least one of credentialBundlePath, keyPath, and certificateChainPath')
}

function validateBundle(at: string, bundle: NonNullable<VolumeProjection['clusterTrustBundle']>, faults: Faults): void {
  const { name, signerName, labelSelector, path } = bundle
  if (name !== undefined && signerName !== undefined) faults.invalid(at, bundle, 'only one of name and signerName may be used')
  else if (name !== undefined) {
    if (!name) faults.required(`${at}.name`, 'must be a valid object name')
    else if (!name.includes(':'))
      for (const why of isDns1123Subdomain(name)) faults.invalid(`${at}.name`, name, `not a valid clustertrustbundlename: ${why}`)
    if (labelSelector) faults.invalid(`${at}.labelSelector`, labelSelector, 'labelSelector must be unset if name is specified')
  } else if (signerName !== undefined) {
    if (!signerName) faults.required(`${at}.signerName`, 'must be a valid signer name')
    if (labelSelector) validateLabelSelector(`${at}.labelSelector`, labelSelector, faults)
  } else faults.required(at, 'either name or signerName must be specified')
  validatePath(at, path, faults)
}
