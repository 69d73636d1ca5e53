// Printer columns that many kinds share.

import type { KubeObject } from '../kind.ts'
import type { Column } from '../spec.ts'
import { since } from './age.ts'

export const nameColumn: Column = {
  name: 'Name',
  format: 'name',
  description:
    'Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically.',
  cell: (object) => object.metadata.name,
}

export const ageColumn: Column = {
  name: 'Age',
  description: 'CreationTimestamp is a timestamp representing the server time when this object was created.',
  cell: (object, now) => since(object.metadata.creationTimestamp, now),
}

export const none = '<none>'

type LabelSelector = { matchLabels?: Record<string, string>; matchExpressions?: { key: string; operator: string; values?: string[] }[] }

/** A label selector as text (`app=web,tier in (a,b)`); `<none>` where there is none. */
export function selectorText(selector: LabelSelector | undefined): string {
  const parts = [
    ...Object.entries(selector?.matchLabels ?? {}).map(([key, value]) => ({ key, text: `${key}=${value}` })),
    ...(selector?.matchExpressions ?? []).map((e) => ({ key: e.key, text: expressionText(e) })),
  ]
  parts.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
  return parts.map((p) => p.text).join(',') || none
}

function expressionText({ key, operator, values = [] }: { key: string; operator: string; values?: string[] }): string {
  if (operator === 'Exists') return key
  if (operator === 'DoesNotExist') return `!${key}`
  return `${key} ${operator === 'In' ? 'in' : 'notin'} (${values.toSorted().join(',')})`
}

export const labelsText = (labels: Record<string, string> | undefined): string =>
  Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(',') || none

/** The wide columns of everything that has a pod template. */
export const templateColumns = <T extends KubeObject>(
  containers: (object: T) => { name: string; image?: string }[],
  selector: (object: T) => LabelSelector | undefined,
): Column<T>[] => [
  {
    name: 'Containers',
    wide: true,
    description: 'Names of each container in the template.',
    cell: (object) =>
      containers(object)
        .map((c) => c.name)
        .join(','),
  },
  {
    name: 'Images',
    wide: true,
    description: 'Images referenced by each container in the template.',
    cell: (object) =>
      containers(object)
        .map((c) => c.image ?? '')
        .join(','),
  },
  {
    name: 'Selector',
    wide: true,
    description: 'Label selector for the objects that this one manages.',
    cell: (object) => selectorText(selector(object)),
  },
]
