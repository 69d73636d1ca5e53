import { ResourceSlice } from './index.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import { validateDriver } from './rules/device-request.ts'
import { repeats } from './rules/faults.ts'
import { isDns1123Label, isDns1123Subdomain } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

const mostDevices = 128

export const resourceSlice: KindSpec<ResourceSlice> = {
  kind: ResourceSlice,
  singular: 'resourceslice',
  generation: true,
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    { name: 'Node', cell: ({ spec }) => spec.nodeName ?? '' },
    { name: 'Driver', cell: ({ spec }) => spec.driver },
    { name: 'Pool', cell: ({ spec }) => spec.pool.name },
    ageColumn,
  ],
  fields: { 'spec.nodeName': ({ spec }) => spec.nodeName ?? '', 'spec.driver': ({ spec }) => spec.driver },
  validate({ spec }, faults) {
    validateDriver('spec.driver', spec.driver, faults)
    const { name, generation, resourceSliceCount } = spec.pool ?? {}
    if (!name) faults.required('spec.pool.name')
    else for (const part of name.split('/')) faults.each('spec.pool.name', part, isDns1123Subdomain(part))
    faults.positive('spec.pool.resourceSliceCount', resourceSliceCount)
    faults.notNegative('spec.pool.generation', generation)
    const places = [spec.nodeName ? 'nodeName' : '', spec.nodeSelector ? 'nodeSelector' : '', spec.allNodes ? 'allNodes' : ''].filter(
      Boolean,
    )
    const choice = 'exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required'
    if (spec.perDeviceNodeSelection) places.push('perDeviceNodeSelection')
    if (places.length === 0) faults.required('spec', choice)
    if (places.length > 1) faults.invalid('spec', `{${places.map((p) => `\`${p}\``).join(', ')}}`, choice)
    if (spec.nodeName) faults.each('spec.nodeName', spec.nodeName, isDns1123Subdomain(spec.nodeName))
    const devices = spec.devices ?? []
    if (devices.length > mostDevices) faults.tooMany('spec.devices', devices.length, mostDevices)
    const repeated = repeats()
    for (const [i, device] of devices.entries()) {
      faults.each(`spec.devices[${i}].name`, device.name, isDns1123Label(device.name))
      if (repeated(device.name)) faults.duplicate(`spec.devices[${i}].name`, device.name)
    }
  },
  validateUpdate(next, previous, faults) {
    for (const field of ['nodeName', 'driver'] as const) faults.immutable(`spec.${field}`, next.spec[field], previous.spec[field])
    faults.immutable('spec.pool.name', next.spec.pool.name, previous.spec.pool.name)
    faults.immutable('spec.nodeSelector', next.spec.nodeSelector, previous.spec.nodeSelector)
    faults.immutable('spec.allNodes', next.spec.allNodes, previous.spec.allNodes)
  },
}
