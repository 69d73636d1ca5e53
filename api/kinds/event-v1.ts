// events.k8s.io/v1: the same objects as v1 Events, with other names for some fields.

import { event } from './event.ts'
import { Event, EventV1 } from './index.ts'
import { isQualifiedName } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

/** Names in events.k8s.io/v1, and in v1. */
const renamed = {
  regarding: 'involvedObject',
  note: 'message',
  reportingController: 'reportingComponent',
  deprecatedSource: 'source',
  deprecatedFirstTimestamp: 'firstTimestamp',
  deprecatedLastTimestamp: 'lastTimestamp',
  deprecatedCount: 'count',
} as const
const names = Object.entries(renamed)
const toOld = new Map<string, string>(names)
const toNew = new Map<string, string>(names.map(([newName, oldName]) => [oldName, newName]))

const rename = (object: object, table: Map<string, string>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(object).map(([name, value]) => [table.get(name) ?? name, value]))

export const eventToStored = (object: EventV1): Event =>
  ({ ...rename(object, toOld), ...(object.apiVersion && { apiVersion: 'v1' }) }) as unknown as Event
export const eventFromStored = (object: Event): EventV1 =>
  ({ ...rename(object, toNew), apiVersion: 'events.k8s.io/v1' }) as unknown as EventV1

const most = { name: 128, note: 1024 }
const refFields = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'] as const

const { singular, shortNames, nameRule } = event

export const eventV1: KindSpec<EventV1> = {
  kind: EventV1,
  converts: { stored: Event, toStored: eventToStored, fromStored: (object) => eventFromStored(object as Event) },
  singular,
  ...(shortNames && { shortNames }),
  nameRule,
  columns: event.columns.map((column) => ({
    ...column,
    cell: (object: EventV1, now: number) => column.cell(eventToStored(object), now),
  })),
  fields: {
    ...Object.fromEntries(
      refFields.map((field) => [`regarding.${field}`, (object) => (object as unknown as Event).involvedObject[field] ?? '']),
    ),
    reportingController: (object) => (object as unknown as Event).reportingComponent ?? '',
  },
  validate(e, faults) {
    if (!e.eventTime) faults.required('eventTime')
    if (e.type !== 'Normal' && e.type !== 'Warning') faults.invalid('type', '', `has invalid value: ${e.type ?? ''}`)
    if (!e.reportingController) faults.required('reportingController')
    else faults.each('reportingController', e.reportingController, isQualifiedName(e.reportingController))
    for (const field of ['reportingInstance', 'action', 'reason'] as const) {
      const value = e[field] ?? ''
      if (!value) faults.required(field)
      if (value.length > most.name) faults.invalid(field, '', `can have at most ${most.name} characters`)
    }
    if ((e.note?.length ?? 0) > most.note) faults.invalid('message', '', `can have at most ${most.note} characters`)
  },
}
