// Notifications: what transactions change, told whole once each is done.

import { AttributeReader, MessageReader } from '../netlink/message.ts'
import { isSysError } from '../sys-error.ts'
import type { NetlinkSocket } from '../types.ts'
import { families, MSG, SUBSYSTEM } from './batch.ts'
import { Elements } from './elements.ts'
import { elementReader } from './elements-codec.ts'
import type { Family, TableRef } from './family.ts'
import { type FlowtableSpec, readFlowtable } from './flowtable.ts'
import type { ObjectKind, ObjectSpec } from './object.ts'
import { readObject } from './object-codec.ts'
import { readChain, readRule, tableOf } from './read.ts'
import type { SetSpec } from './set.ts'
import { readSet } from './set-codec.ts'
import type { ChainSpec, Rule } from './table.ts'

/** Of what is gone there is the name, of a rule the handle; the rest the kernel may leave out. */
export type NftChange = { readonly table: TableRef; readonly gone: boolean } & (
  | { readonly what: 'table' }
  | { readonly what: 'chain'; readonly name: string; readonly chain?: ChainSpec }
  | { readonly what: 'rule'; readonly chain: string; readonly rule: Rule }
  | { readonly what: 'set'; readonly name: string; readonly set?: SetSpec }
  /** How to read them, the set's declaration tells, which the notification does not hold. */
  | { readonly what: 'elements'; readonly set: string; elements(spec: SetSpec): Elements }
  | { readonly what: 'object'; readonly kind: ObjectKind; readonly name: string; readonly object?: ObjectSpec }
  | { readonly what: 'flowtable'; readonly name: string; readonly flowtable?: FlowtableSpec }
)

export type NftNotification =
  | {
      readonly kind: 'transaction'
      readonly generation: number /** Name of the program. */
      readonly by: string
      readonly changes: NftChange[]
    }
  /** The kernel dropped notifications: whatever was learnt so far must be read anew. */
  | { readonly kind: 'missed' }

/** NFNLGRP_NFTABLES */
export const NOTIFICATIONS = 7
// NFTA_GEN_*, NFTA_SET_ELEM_LIST_*
const GEN = { ID: 1, PROC_NAME: 3 }
const LIST = { SET: 2, ELEMENTS: 3 }
const infoSize = 4

/** Notifications out of a socket that has joined the group, until it is closed; closes it at the end. */
export async function* notifications(socket: NetlinkSocket): AsyncGenerator<NftNotification, void> {
  const datagrams = socket.messages()[Symbol.asyncIterator]()
  let changes: NftChange[] = []
  try {
    for (;;) {
      let datagram: Uint8Array
      try {
        const next = await datagrams.next()
        if (next.done) return
        datagram = next.value
      } catch (error) {
        if (!isSysError(error, 'ENOBUFS')) throw error
        changes = []
        yield { kind: 'missed' }
        continue
      }
      const reader = new MessageReader(datagram)
      while (reader.next()) {
        if (reader.type === (SUBSYSTEM | MSG.NEWGEN)) {
          yield { kind: 'transaction', ...readGeneration(reader.attributes(infoSize)), changes: joined(changes) }
          changes = []
        } else {
          const change = known(() => readChange(reader))
          if (change) changes.push(change)
        }
      }
    }
  } finally {
    socket.close()
  }
}

const readGeneration = (attrs: AttributeReader): { generation: number; by: string } => {
  const found = { generation: 0, by: '' }
  while (attrs.next()) {
    if (attrs.type === GEN.ID) found.generation = attrs.u32be()
    else if (attrs.type === GEN.PROC_NAME) found.by = attrs.string()
  }
  return found
}

/** Elements come one to a message, an interval even in two: those that follow each other are one change. */
type Part = NftChange & { lists?: Uint8Array[] }

const joined = (parts: readonly Part[]): NftChange[] => {
  const changes: Part[] = []
  for (const part of parts) {
    const last = changes.at(-1)
    const same =
      part.what === 'elements' &&
      last?.what === 'elements' &&
      last.set === part.set &&
      last.gone === part.gone &&
      last.table.name === part.table.name &&
      last.table.family === part.table.family
    if (same && last.lists && part.lists) last.lists.push(...part.lists)
    else changes.push(part)
  }
  for (const change of changes) delete change.lists
  return changes
}

const elementsChange = (of: Pick<NftChange, 'table' | 'gone'>, attrs: AttributeReader): Part => {
  let set = ''
  const lists: Uint8Array[] = []
  while (attrs.next()) {
    if (attrs.type === LIST.SET) set = attrs.string()
    else if (attrs.type === LIST.ELEMENTS) lists.push(attrs.bytes())
  }
  const elements = (spec: SetSpec): Elements => {
    const reader = elementReader(new Elements(spec))
    for (const list of lists) reader.read(new AttributeReader(list))
    return reader.finish()
  }
  return { ...of, what: 'elements', set, elements, lists }
}

/** Other programs' tables may hold data types that this code does not know. */
const known = <T>(read: () => T): T | undefined => {
  try {
    return read()
  } catch (error) {
    if (isSysError(error, 'EPROTONOSUPPORT')) return undefined
    throw error
  }
}

/** Undefined for what is in tables of families, or of kinds, that this code does not know. */
const readChange = (reader: MessageReader): Part | undefined => {
  if (reader.type >> 8 !== SUBSYSTEM >> 8) return undefined
  const { payload } = reader
  const attrs = () => new AttributeReader(payload, infoSize)
  const family = (Object.keys(families) as Family[]).find((name) => families[name] === payload[0])
  if (!family) return undefined
  const table = { family, name: tableOf(attrs()) }
  const type = reader.type & 0xff
  const of = { table, gone: deletions.has(type) }
  switch (type) {
    case MSG.NEWTABLE:
    case MSG.DELTABLE:
      return { ...of, what: 'table' }
    case MSG.NEWCHAIN:
    case MSG.DELCHAIN: {
      const chain = readChain(attrs())
      return { ...of, what: 'chain', name: chain.name, ...(!of.gone && { chain }) }
    }
    case MSG.NEWRULE:
    case MSG.DELRULE:
      return { ...of, what: 'rule', ...readRule(attrs()) }
    case MSG.NEWSET:
    case MSG.DELSET: {
      const { spec } = readSet(attrs())
      return { ...of, what: 'set', name: spec.name, ...(!of.gone && { set: spec }) }
    }
    case MSG.NEWSETELEM:
    case MSG.DELSETELEM:
      return elementsChange(of, attrs())
    case MSG.NEWOBJ:
    case MSG.DELOBJ: {
      const found = readObject(attrs(), family)
      return found && { ...of, what: 'object', kind: found.kind, name: found.name, ...(!of.gone && { object: found.object }) }
    }
    case MSG.NEWFLOWTABLE:
    case MSG.DELFLOWTABLE: {
      const flowtable = readFlowtable(attrs())
      return { ...of, what: 'flowtable', name: flowtable.name, ...(!of.gone && { flowtable }) }
    }
    default:
      return undefined
  }
}

const deletions = new Set<number>([MSG.DELTABLE, MSG.DELCHAIN, MSG.DELRULE, MSG.DELSET, MSG.DELSETELEM, MSG.DELOBJ, MSG.DELFLOWTABLE])
