// What the status of a ResourceClaim may say: which devices it got, who uses them (pkg/apis/resource/validation).

import { isDeepStrictEqual } from 'node:util'
import { parseCidr } from '../../cidr.ts'
import type { AllocatedDeviceStatus, AllocationResult, DeviceClaim, ResourceClaim } from '../../types/resource-v1.gen.ts'
import { validateStatusConditions } from './conditions.ts'
import { requestNames, validateDriver, validateOpaque, validateReferences } from './device-request.ts'
import { type Faults, repeats } from './faults.ts'
import { isDns1123Label, isDns1123Subdomain } from './names.ts'
import { validateNodeSelector } from './node-selector.ts'

const most = { users: 256, results: 32, configs: 64, conditions: 8, poolName: 253, interfaceName: 256, hardwareAddress: 128, addresses: 16 }

export function validateClaimStatus(next: ResourceClaim, previous: ResourceClaim, faults: Faults): void {
  const status = next.status ?? {}
  validateUsers(next, previous, faults)
  const before = previous.status?.allocation
  if (before && status.allocation) faults.immutable('status.allocation', status.allocation, before)
  else if (status.allocation) validateAllocation('status.allocation', status.allocation, next.spec.devices, faults)
  const allocated = new Set(status.allocation?.devices?.results?.map(idOf))
  const repeated = repeats()
  for (const [i, device] of (status.devices ?? []).entries()) {
    const at = `status.devices[${i}]`
    validateDevice(at, device, faults)
    if (!allocated.has(idOf(device))) faults.invalid(at, idOf(device), 'must be an allocated device in the claim')
    if (repeated(idOf(device))) faults.duplicate(at, idOf(device))
  }
}

function validateUsers({ metadata, status }: ResourceClaim, previous: ResourceClaim, faults: Faults): void {
  const at = 'status.reservedFor'
  const users = status?.reservedFor ?? []
  if (users.length > most.users) faults.tooMany(at, users.length, most.users)
  const repeated = repeats()
  for (const [i, user] of users.entries()) {
    for (const field of ['resource', 'name', 'uid'] as const) if (!user[field]) faults.required(`${at}[${i}].${field}`)
    if (repeated(user.uid)) faults.duplicate(`${at}[${i}]`, user.uid)
  }
  if (users.length > 0 && !status?.allocation) faults.forbidden(at, 'may not be specified when `allocated` is not set')
  const before = previous.status?.reservedFor ?? []
  if (metadata.deletionTimestamp && status?.allocation && users.some((user) => !before.some((known) => isDeepStrictEqual(user, known))))
    faults.forbidden(at, 'new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set')
}

function validateAllocation(at: string, { devices, nodeSelector }: AllocationResult, asked: DeviceClaim | undefined, faults: Faults): void {
  const known = requestNames(asked)
  const { results = [], config = [] } = devices ?? {}
  if (results.length > most.results) faults.tooMany(`${at}.devices.results`, results.length, most.results)
  for (const [i, result] of results.entries()) {
    const here = `${at}.devices.results[${i}]`
    if (!known.has(result.request))
      faults.invalid(
        `${here}.request`,
        result.request,
        "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'",
      )
    validateIdentity(here, result, faults)
  }
  if (config.length > most.configs) faults.tooMany(`${at}.devices.config`, config.length, most.configs)
  for (const [i, { source, requests, opaque }] of config.entries()) {
    const here = `${at}.devices.config[${i}]`
    if (!source) faults.required(`${here}.source`)
    else faults.oneOf(`${here}.source`, source, ['FromClaim', 'FromClass'])
    validateReferences(here, requests, known, faults)
    validateOpaque(here, opaque, faults)
  }
  if (nodeSelector) validateNodeSelector(`${at}.nodeSelector`, nodeSelector, faults)
}

type Identity = { driver: string; pool: string; device: string }

const idOf = ({ driver, pool, device, shareID }: Identity & { shareID?: string }): string =>
  `${driver}/${pool}/${device}${shareID ? `/${shareID}` : ''}`

function validateIdentity(at: string, { driver, pool, device }: Identity, faults: Faults): void {
  validateDriver(`${at}.driver`, driver, faults)
  if (!pool) faults.required(`${at}.pool`)
  else {
    if (pool.length > most.poolName) faults.tooLong(`${at}.pool`, most.poolName)
    for (const part of pool.split('/')) faults.each(`${at}.pool`, part, isDns1123Subdomain(part))
  }
  if (!device) faults.required(`${at}.device`)
  else faults.each(`${at}.device`, device, isDns1123Label(device))
}

function validateDevice(at: string, device: AllocatedDeviceStatus, faults: Faults): void {
  validateIdentity(at, device, faults)
  const { conditions, networkData } = device
  if (conditions.length > most.conditions) faults.tooMany(`${at}.conditions`, conditions.length, most.conditions)
  validateStatusConditions(`${at}.conditions`, conditions, faults)
  const { interfaceName = '', hardwareAddress = '', ips = [] } = networkData ?? {}
  const here = `${at}.networkData`
  if (interfaceName.length > most.interfaceName) faults.tooLong(`${here}.interfaceName`, most.interfaceName)
  if (hardwareAddress.length > most.hardwareAddress) faults.tooLong(`${here}.hardwareAddress`, most.hardwareAddress)
  if (ips.length > most.addresses) faults.tooMany(`${here}.ips`, ips.length, most.addresses)
  const repeated = repeats()
  for (const [i, ip] of ips.entries()) {
    if (!parseCidr(ip))
      faults.invalid(`${here}.ips[${i}]`, ip, 'must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)')
    if (repeated(ip)) faults.duplicate(`${here}.ips[${i}]`, ip)
  }
}
