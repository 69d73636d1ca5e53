// The managers of an object: metadata.managedFields as sets by identity, and back.

import { parseExact } from '../../schema/exact.ts'
import type { ManagedFieldsEntry } from '../../types/meta-v1.gen.ts'
import { type Fields, isEmpty, none, unionOf } from './fields.ts'

/** One entry's set; `entry` is reused as it is while its set stays the same. */
export type Managed = { readonly entry: ManagedFieldsEntry; readonly fields: Fields }

/** By identity, see identityOf. */
export type Managers = Map<string, Managed>

/** Beyond this many, the oldest updaters are summed up as one. */
const mostUpdaters = 10
const ancient = 'ancient-changes'

type Identity = Pick<ManagedFieldsEntry, 'manager' | 'operation' | 'apiVersion' | 'subresource'>

/** An applier is the same whatever version it applies with. */
export const identityOf = ({ manager, operation, apiVersion, subresource }: Identity): string =>
  JSON.stringify([manager ?? '', operation, operation === 'Apply' ? '' : (apiVersion ?? ''), subresource ?? ''])

/** Undefined where the entries make no sense, which then counts as none. */
export function readManagers(entries: readonly ManagedFieldsEntry[] | undefined): Managers | undefined {
  const managers: Managers = new Map()
  for (const entry of entries ?? []) {
    if (entry.operation !== 'Apply' && entry.operation !== 'Update') return undefined
    if (entry.fieldsType !== 'FieldsV1' || !isTree(entry.fieldsV1 ?? none)) return undefined
    managers.set(identityOf(entry), { entry, fields: (entry.fieldsV1 ?? none) as Fields })
  }
  return managers
}

function isTree(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.entries(value).every(([element, node]) => isElement(element) && isTree(node))
}

function isElement(element: string): boolean {
  if (element === '.' || element.startsWith('f:')) return true
  if (!/^[kvi]:/.test(element)) return false
  try {
    const value: unknown = parseExact(element.slice(2))
    return element.startsWith('k:') ? typeof value === 'object' && value !== null : true
  } catch {
    return false
  }
}

/** `managedFields: [{}]`: the request to forget all managers. */
export const isReset = (entries: readonly ManagedFieldsEntry[] | undefined): boolean =>
  entries?.length === 1 && isEmpty((entries[0] ?? none) as Fields)

export function newManaged(identity: Identity, fields: Fields, time: string): Managed {
  const { manager, operation, apiVersion, subresource } = identity
  const entry: ManagedFieldsEntry = { manager, operation, apiVersion, time, fieldsType: 'FieldsV1', fieldsV1: fields }
  return { entry: subresource ? { ...entry, subresource } : entry, fields }
}

/** The manager with another set, at its old time. */
export const withFields = ({ entry }: Managed, fields: Fields): Managed => ({ entry: { ...entry, fieldsV1: fields }, fields })

/** Appliers first, then by time; without managers that own nothing. */
export function writeManagers(managers: Managers): ManagedFieldsEntry[] {
  const entries = [...managers.values()].filter(({ fields }) => !isEmpty(fields)).map(({ entry }) => entry)
  return capped(entries).sort(byAge)
}

const order = (entry: ManagedFieldsEntry): string =>
  [entry.operation ?? '', entry.time ?? '', entry.manager ?? '', entry.apiVersion ?? '', entry.subresource ?? ''].join('\0')
const byAge = (a: ManagedFieldsEntry, b: ManagedFieldsEntry): number => (order(a) < order(b) ? -1 : 1)

function capped(entries: ManagedFieldsEntry[]): ManagedFieldsEntry[] {
  const updaters = entries.filter((entry) => entry.operation === 'Update').sort(byAge)
  const surplus = updaters.length - mostUpdaters
  if (surplus <= 0) return entries
  const kept = entries.filter((entry) => entry.operation !== 'Update')
  const byVersion = Map.groupBy(updaters.slice(0, surplus + 1), (entry) => entry.apiVersion ?? '')
  const sums = [...byVersion.values()].map((summed): ManagedFieldsEntry => {
    const { subresource: _, ...rest } = summed.at(-1) as ManagedFieldsEntry
    return { ...rest, manager: ancient, fieldsV1: unionOf(summed.map(({ fieldsV1 }) => (fieldsV1 ?? none) as Fields)) }
  })
  return [...kept, ...sums, ...updaters.slice(surplus + 1)]
}
