// What the server offers, from the unaggregated discovery documents that every API server has.

import type { APIGroupList, APIResource } from '../types/meta-v1.gen.ts'
import type { ServedKind } from './client.ts'

type ResourceList = { groupVersion: string; resources: (APIResource & { namespaced: boolean })[] }

/** A group whose document cannot be read (its server is away) fails the whole: callers would take its kinds for gone. */
export async function discover(get: <T>(path: string) => Promise<T>): Promise<ServedKind[]> {
  const groups = await get<APIGroupList>('/apis')
  const versions = groups.groups.map((group) => ({ group: group.name, version: group.preferredVersion.version }))
  const lists = await Promise.all([
    get<ResourceList>('/api/v1').then((list) => kindsIn('', 'v1', list)),
    ...versions.map(({ group, version }) => get<ResourceList>(`/apis/${group}/${version}`).then((list) => kindsIn(group, version, list))),
  ])
  return lists.flat()
}

const kindsIn = (group: string, version: string, list: ResourceList): ServedKind[] =>
  list.resources
    .filter((resource) => !resource.name.includes('/'))
    .map(({ kind, name, namespaced, verbs }) => ({ group, version, kind, plural: name, namespaced, verbs }))
