import { Event } from './index.ts'
import { since } from './rules/age.ts'
import { nameColumn } from './rules/columns.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

const lastSeen = (e: Event) => e.series?.lastObservedTime ?? e.lastTimestamp ?? e.eventTime ?? e.metadata.creationTimestamp
const firstSeen = (e: Event) => e.firstTimestamp ?? e.eventTime ?? e.metadata.creationTimestamp
const componentOf = (e: Event) => e.source?.component || e.reportingComponent || ''

export const event: KindSpec<Event> = {
  kind: Event,
  singular: 'event',
  shortNames: ['ev'],
  nameRule: isDns1123Subdomain,
  columns: [
    { name: 'Last Seen', description: 'Time when this event was last observed', cell: (e, now) => since(lastSeen(e), now) },
    { name: 'Type', description: 'Type of this event (Normal, Warning)', cell: (e) => e.type ?? '' },
    { name: 'Reason', description: 'Short, machine understandable reason for this event', cell: (e) => e.reason ?? '' },
    {
      name: 'Object',
      description: 'The object that this event is about.',
      cell: (e) =>
        e.involvedObject.name
          ? `${e.involvedObject.kind?.toLowerCase()}/${e.involvedObject.name}`
          : (e.involvedObject.kind?.toLowerCase() ?? ''),
    },
    { name: 'Subobject', wide: true, description: 'The part of the object.', cell: (e) => e.involvedObject.fieldPath ?? '' },
    {
      name: 'Source',
      wide: true,
      description: 'The component reporting this event.',
      cell: (e) => [componentOf(e), e.source?.host || e.reportingInstance].filter(Boolean).join(', '),
    },
    {
      name: 'Message',
      description: 'A human-readable description of the status of this operation.',
      cell: (e) => (e.message ?? '').trim(),
    },
    { name: 'First Seen', wide: true, description: 'Time when this event was first observed', cell: (e, now) => since(firstSeen(e), now) },
    {
      name: 'Count',
      wide: true,
      description: 'Number of times this event has been observed',
      cell: (e) => String(e.series?.count ?? (e.count || 1)),
    },
    { ...nameColumn, wide: true },
  ],
  fields: {
    'involvedObject.kind': (e) => e.involvedObject.kind ?? '',
    'involvedObject.namespace': (e) => e.involvedObject.namespace ?? '',
    'involvedObject.name': (e) => e.involvedObject.name ?? '',
    'involvedObject.uid': (e) => e.involvedObject.uid ?? '',
    'involvedObject.apiVersion': (e) => e.involvedObject.apiVersion ?? '',
    'involvedObject.resourceVersion': (e) => e.involvedObject.resourceVersion ?? '',
    'involvedObject.fieldPath': (e) => e.involvedObject.fieldPath ?? '',
    reason: (e) => e.reason ?? '',
    reportingComponent: (e) => e.reportingComponent ?? '',
    source: componentOf,
    type: (e) => e.type ?? '',
  },
  validate(e, faults) {
    const about = e.involvedObject.namespace || 'default'
    if (e.metadata.namespace !== about)
      faults.invalid('involvedObject.namespace', e.involvedObject.namespace ?? '', 'does not match event.namespace')
  },
}
