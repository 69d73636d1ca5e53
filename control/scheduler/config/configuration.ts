// A KubeSchedulerConfiguration, as kube-scheduler reads it from a file. What bears on a scheduler that is a program of its
// own (leader election, its connection, profiling) has no meaning here and is passed over; what cannot be done is refused.

import { readFile } from 'node:fs/promises'
import { Faults, repeats } from '#api/kinds/rules/faults.ts'
import { parseYaml } from '#api/yaml/yaml.ts'
import { defaultProfile } from '../plugins/registry.ts'
import { anyWhole, Field } from './field.ts'
import { type ConfiguredProfile, readProfile } from './profile.ts'

export type SchedulerConfiguration = {
  /** The first one's order is the queue's. */
  profiles: readonly ConfiguredProfile[]
  /** Milliseconds before a pod that did not fit is tried again: doubled from the first to the longest. */
  backoff: { first: number; longest: number }
}

/** Shorter than kube-scheduler's second: a try costs little, and a device that has just started has few nodes to look at. */
const backoff = { first: 50, longest: 10_000 }

export const defaultConfiguration: SchedulerConfiguration = {
  profiles: [{ schedulerName: 'default-scheduler', make: defaultProfile }],
  backoff,
}

const apiVersion = 'kubescheduler.config.k8s.io/v1'
const withoutMeaning = [
  'parallelism',
  'leaderElection',
  'clientConnection',
  'enableProfiling',
  'enableContentionProfiling',
  'delayCacheUntilActive',
]

/** Throws an Error that names the file, and the fields that are wrong. */
export async function readConfiguration(file: string): Promise<SchedulerConfiguration> {
  try {
    return configurationOf(parseYaml(await readFile(file, 'utf8')))
  } catch (error) {
    throw new Error(`scheduler configuration ${file}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

export function configurationOf(value: unknown): SchedulerConfiguration {
  const faults = new Faults()
  const root = new Field('', value, faults)
  if (root.isAbsent || typeof value !== 'object' || Array.isArray(value)) throw new Error('it is no object')
  for (const [name, wanted] of [
    ['apiVersion', apiVersion],
    ['kind', 'KubeSchedulerConfiguration'],
  ] as const) {
    root.at(name).needed()
    root.at(name).oneOf([wanted])
  }
  const known = [
    'apiVersion',
    'kind',
    'profiles',
    'percentageOfNodesToScore',
    'podInitialBackoffSeconds',
    'podMaxBackoffSeconds',
    'extenders',
  ]
  root.members([...known, ...withoutMeaning])
  if (root.at('extenders').items().length) faults.forbidden('extenders', 'extenders are not supported')
  const percentage = root.at('percentageOfNodesToScore').whole(0, 100) ?? 0
  const first = (root.at('podInitialBackoffSeconds').whole(1, anyWhole) ?? backoff.first / 1000) * 1000
  const longest = (root.at('podMaxBackoffSeconds').whole(1, anyWhole) ?? backoff.longest / 1000) * 1000
  if (longest < first) faults.invalid('podMaxBackoffSeconds', longest / 1000, 'must be greater than or equal to PodInitialBackoffSeconds')
  const list = root.at('profiles')
  const profiles = list.items().map((profile) => readProfile(profile, percentage))
  const again = repeats()
  for (const [i, { schedulerName }] of profiles.entries())
    if (again(schedulerName)) faults.duplicate(`profiles[${i}].schedulerName`, schedulerName)
  if (faults.list.length) throw new Error(faults.list.map(({ field, message }) => `${field}: ${message}`).join(', '))
  const usual = readProfile(new Field('profiles[0]', {}, faults), percentage)
  return { profiles: profiles.length ? profiles : [usual], backoff: { first, longest } }
}
