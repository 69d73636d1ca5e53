// What a claim asks of devices: defaults and rules (pkg/apis/resource/validation). Selectors in CEL are
// only checked for being there.

import type {
  DeviceClaim,
  DeviceSelector,
  DeviceSubRequest,
  ExactDeviceRequest,
  OpaqueDeviceConfiguration,
} from '../../types/resource-v1.gen.ts'
import { type Faults, repeats } from './faults.ts'
import { isDns1123Label, isDns1123Subdomain } from './names.ts'

const most = { requests: 32, constraints: 32, configs: 32, selectors: 32, alternatives: 8, expressionBytes: 10 * 1024 }

export function defaultDevices(devices: DeviceClaim | undefined): void {
  for (const { exactly, firstAvailable } of devices?.requests ?? []) {
    for (const request of [...(exactly ? [exactly] : []), ...(firstAvailable ?? [])]) {
      request.allocationMode ||= 'ExactCount'
      if (request.allocationMode === 'ExactCount') request.count ||= 1
      for (const toleration of request.tolerations ?? []) toleration.operator ||= 'Equal'
    }
  }
}

export function validateDevices(at: string, { requests, constraints = [], config = [] }: DeviceClaim, faults: Faults): void {
  if (requests.length > most.requests) faults.tooMany(`${at}.requests`, requests.length, most.requests)
  const names = new Set<string>()
  for (const [i, request] of requests.entries()) {
    const here = `${at}.requests[${i}]`
    validateName(`${here}.name`, request.name, faults)
    if (names.has(request.name)) faults.duplicate(`${here}.name`, request.name)
    names.add(request.name)
    const { exactly, firstAvailable = [] } = request
    if (!exactly && firstAvailable.length === 0) faults.required(here, 'exactly one of `exactly` or `firstAvailable` is required')
    if (exactly && firstAvailable.length > 0)
      faults.wrong(here, 'exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set')
    if (exactly) validateRequest(`${here}.exactly`, exactly, faults)
    if (firstAvailable.length > most.alternatives) faults.tooMany(`${here}.firstAvailable`, firstAvailable.length, most.alternatives)
    const repeatedSub = repeats()
    for (const [j, sub] of firstAvailable.entries()) {
      validateName(`${here}.firstAvailable[${j}].name`, sub.name, faults)
      if (repeatedSub(sub.name)) faults.duplicate(`${here}.firstAvailable[${j}].name`, sub.name)
      validateRequest(`${here}.firstAvailable[${j}]`, sub, faults)
    }
  }
  const known = requestNames({ requests })
  if (constraints.length > most.constraints) faults.tooMany(`${at}.constraints`, constraints.length, most.constraints)
  for (const [i, constraint] of constraints.entries()) {
    const here = `${at}.constraints[${i}]`
    validateReferences(here, constraint.requests, known, faults)
    if (!constraint.matchAttribute && !constraint.distinctAttribute) faults.required(`${here}.matchAttribute`)
  }
  if (config.length > most.configs) faults.tooMany(`${at}.config`, config.length, most.configs)
  for (const [i, { requests: named, opaque }] of config.entries()) {
    validateReferences(`${at}.config[${i}]`, named, known, faults)
    validateOpaque(`${at}.config[${i}]`, opaque, faults)
  }
}

/** Of requests, and of the alternatives within them. */
export const requestNames = (devices: Pick<DeviceClaim, 'requests'> | undefined): Set<string> =>
  new Set(devices?.requests?.flatMap(({ name, firstAvailable = [] }) => [name, ...firstAvailable.map((s) => `${name}/${s.name}`)]))

export function validateReferences(at: string, names: readonly string[] = [], known: Set<string>, faults: Faults): void {
  const repeated = repeats()
  for (const [i, name] of names.entries()) {
    if (!known.has(name))
      faults.invalid(
        `${at}.requests[${i}]`,
        name,
        "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'",
      )
    if (repeated(name)) faults.duplicate(`${at}.requests[${i}]`, name)
  }
}

function validateName(field: string, name: string, faults: Faults): void {
  if (!name) faults.required(field)
  else faults.each(field, name, isDns1123Label(name))
}

function validateRequest(at: string, request: ExactDeviceRequest | DeviceSubRequest, faults: Faults): void {
  const { deviceClassName, selectors, allocationMode, count } = request
  if (!deviceClassName) faults.required(`${at}.deviceClassName`)
  else faults.each(`${at}.deviceClassName`, deviceClassName, isDns1123Subdomain(deviceClassName))
  validateSelectors(`${at}.selectors`, selectors, faults)
  faults.oneOf(`${at}.allocationMode`, allocationMode, ['All', 'ExactCount'])
  if (allocationMode === 'All' && count) faults.invalid(`${at}.count`, count, "must not be specified when allocationMode is 'All'")
  if (allocationMode === 'ExactCount') faults.positive(`${at}.count`, count)
}

export function validateSelectors(at: string, selectors: readonly DeviceSelector[] | undefined, faults: Faults): void {
  if ((selectors?.length ?? 0) > most.selectors) faults.tooMany(at, selectors?.length ?? 0, most.selectors)
  for (const [i, { cel }] of (selectors ?? []).entries()) {
    if (!cel) faults.required(`${at}[${i}].cel`)
    else if (!cel.expression) faults.required(`${at}[${i}].cel.expression`)
    else if (cel.expression.length > most.expressionBytes) faults.tooLong(`${at}[${i}].cel.expression`, most.expressionBytes)
  }
}

export function validateOpaque(at: string, opaque: OpaqueDeviceConfiguration | undefined, faults: Faults): void {
  if (!opaque) return faults.required(`${at}.opaque`)
  validateDriver(`${at}.opaque.driver`, opaque.driver, faults)
  if (!opaque.parameters) faults.required(`${at}.opaque.parameters`)
}

export function validateDriver(field: string, name: string, faults: Faults): void {
  if (!name) return faults.required(field)
  if (name.length > 63) faults.tooLong(field, 63)
  faults.each(field, name, isDns1123Subdomain(name.toLowerCase()))
}
