// A profile of a KubeSchedulerConfiguration: which plugins its pods meet, and with what arguments.

import { repeats } from '#api/kinds/rules/faults.ts'
import { assemble, type Point, points } from '../framework/assemble.ts'
import type { Handle } from '../framework/plugin.ts'
import type { Profile } from '../framework/profile.ts'
import { type Make, registry } from '../plugins/registry.ts'
import type { Field } from './field.ts'

export type ConfiguredProfile = { schedulerName: string; make: (handle: Handle) => Profile }

/** What kube-scheduler's files call them: what prepares a filter or a score is of one piece with it here. */
const sections: Record<string, Point> = {
  ...Object.fromEntries(points.map((point) => [point, point])),
  preFilter: 'filter',
  preScore: 'score',
}

/** Of kube-scheduler, and not of ours: there is nothing to be taken away. */
const absent = ['NodeVolumeLimits', 'EBSLimits', 'GCEPDLimits', 'AzureDiskLimits', 'VolumeZone', 'DynamicResources']

type Named = { name: string; weight: number | undefined; field: Field }
type Section = { enabled: Named[]; disabled: ReadonlySet<string> }

export function readProfile(profile: Field, percentage: number): ConfiguredProfile {
  profile.members(['schedulerName', 'percentageOfNodesToScore', 'plugins', 'pluginConfig'])
  const schedulerName = profile.at('schedulerName').text() || 'default-scheduler'
  const percentageOfNodesToScore = profile.at('percentageOfNodesToScore').whole(0, 100) ?? percentage
  const everywhere = readSection(profile.at('plugins').at('multiPoint'))
  const bySection = Object.entries(sections).map(([name, point]) => ({ point, ...readSection(profile.at('plugins').at(name)) }))
  profile.at('plugins').members(['multiPoint', ...Object.keys(sections)])
  const makers = readMakers(profile.at('pluginConfig'))

  const weights = new Map(Object.entries(registry).map(([name, { weight = 0 }]) => [name, weight]))
  const all = new Map<string, number | undefined>()
  for (const name of Object.keys(registry)) if (!removes(everywhere.disabled, name)) all.set(name, undefined)
  for (const { name, weight } of everywhere.enabled) all.set(name, weight)

  /** Those named at the point itself come first, and their weights count. */
  const chosen = (point: Point): { name: string; weight: number }[] => {
    const here = bySection.filter((section) => section.point === point)
    const own = here.flatMap(({ enabled }) => enabled)
    const names = new Set(own.map(({ name }) => name))
    for (const { name, field } of own)
      if (registry[name] && !registry[name].points.includes(point))
        field.faults.invalid(field.at('name').path, name, `does not extend ${point}`)
    const rest = [...all]
      .filter(
        ([name]) => registry[name]?.points.includes(point) && !names.has(name) && !here.some(({ disabled }) => removes(disabled, name)),
      )
      .map(([name, weight]) => ({ name, weight }))
    const first = [...names].map((name) => ({ name, weight: own.find((each) => each.name === name && each.weight !== undefined)?.weight }))
    return [...first, ...rest].map(({ name, weight }) => ({ name, weight: weight || weights.get(name) || (point === 'score' ? 1 : 0) }))
  }
  const byPoint = new Map(points.map((point) => [point, chosen(point)]))
  const { faults, path } = profile
  const sorting = byPoint.get('queueSort')!
  if (sorting.length !== 1) faults.wrong(`${path}.plugins.queueSort`, `exactly one plugin must be enabled, and there are ${sorting.length}`)
  if (byPoint.get('bind')!.length === 0) faults.required(`${path}.plugins.bind`, 'at least one plugin must be enabled')

  return {
    schedulerName,
    make(handle) {
      const made = new Map<string, ReturnType<Make>>()
      const pluginOf = (name: string) => {
        const plugin = made.get(name) ?? (makers.get(name) ?? registry[name]!.make)(handle)
        made.set(name, plugin)
        return plugin
      }
      const plugins = assemble((point) => byPoint.get(point)!.map(({ name, weight }) => ({ plugin: pluginOf(name), weight })))
      return { schedulerName, percentageOfNodesToScore, plugins }
    },
  }
}

const removes = (disabled: ReadonlySet<string>, name: string): boolean => disabled.has(name) || disabled.has('*')

function readSection(section: Field): Section {
  section.members(['enabled', 'disabled'])
  const known = Object.keys(registry)
  const again = repeats()
  const enabled = section
    .at('enabled')
    .items()
    .map((field) => {
      const name = field.members(['name', 'weight']).at('name').needed()
      if (name && !known.includes(name)) field.faults.notSupported(field.at('name').path, name, known)
      else if (name && again(name)) field.faults.duplicate(field.at('name').path, name)
      return { name, weight: field.at('weight').whole(0, 2 ** 31 - 1), field }
    })
  const disabled = section
    .at('disabled')
    .items()
    .map((field) => {
      const name = field.members(['name', 'weight']).at('name').needed()
      if (name && name !== '*' && !known.includes(name) && !absent.includes(name))
        field.faults.notSupported(field.at('name').path, name, known)
      return name
    })
  return { enabled: enabled.filter(({ name }) => Object.hasOwn(registry, name)), disabled: new Set(disabled) }
}

function readMakers(list: Field): Map<string, Make> {
  const makers = new Map<string, Make>()
  const known = Object.keys(registry).filter((name) => registry[name]!.configured)
  for (const each of list.items()) {
    const name = each.members(['name', 'args']).at('name').needed()
    const entry = known.includes(name) ? registry[name] : undefined
    if (!entry?.configured) {
      if (name) each.faults.notSupported(each.at('name').path, name, known)
      continue
    }
    if (makers.has(name)) each.faults.duplicate(each.at('name').path, name)
    const args = each.at('args')
    if (!args.at('kind').isAbsent) args.at('kind').oneOf([`${name}Args`])
    makers.set(name, entry.configured(args.without(['apiVersion', 'kind'])))
  }
  return makers
}
