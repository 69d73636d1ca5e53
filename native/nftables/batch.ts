// A transaction as one datagram: nfnetlink takes it whole between a begin and an end message.

import { headerSize, MessageWriter, NLM_F } from '../netlink/message.ts'
import type { Command } from './command.ts'
import { elementsOfRow, writeElements } from './elements-codec.ts'
import { type SetId, writeExpressions } from './expression-codec.ts'
import type { Family, TableRef } from './family.ts'
import { writeFlowtable } from './flowtable.ts'
import { writeObject, writeObjectName } from './object-codec.ts'
import { writeSet } from './set-codec.ts'
import type { ChainSpec, RuleSpec } from './table.ts'

export const SUBSYSTEM = 10 << 8
/** NFT_MSG_* */
export const MSG = {
  NEWTABLE: 0,
  GETTABLE: 1,
  DELTABLE: 2,
  NEWCHAIN: 3,
  GETCHAIN: 4,
  DELCHAIN: 5,
  NEWRULE: 6,
  GETRULE: 7,
  DELRULE: 8,
  NEWSET: 9,
  GETSET: 10,
  DELSET: 11,
  NEWSETELEM: 12,
  GETSETELEM: 13,
  DELSETELEM: 14,
  NEWGEN: 15,
  GETGEN: 16,
  NEWOBJ: 18,
  GETOBJ: 19,
  DELOBJ: 20,
  GETOBJ_RESET: 21,
  NEWFLOWTABLE: 22,
  GETFLOWTABLE: 23,
  DELFLOWTABLE: 24,
} as const
const BATCH_BEGIN = 16
const BATCH_END = 17
const BATCH_GENID = 1
/** NFPROTO_* */
export const families: Record<Family, number> = { inet: 1, ip: 2, ip6: 10 }
/** NF_INET_* */
export const hooks = ['prerouting', 'input', 'forward', 'output', 'postrouting'] as const

// NFTA_*: of the messages here, 1 is always the table's name.
const TABLE = { NAME: 1, FLAGS: 2 }
const CHAIN = { TABLE: 1, NAME: 3, HOOK: 4, POLICY: 5, TYPE: 7 }
const HOOK = { NUM: 1, PRIORITY: 2 }
const RULE = { TABLE: 1, CHAIN: 2, HANDLE: 3, EXPRESSIONS: 4, POSITION: 6, USERDATA: 7 }
const SET = { TABLE: 1, NAME: 2 }
const FLOWTABLE = { TABLE: 1, NAME: 2 }
const ELEMENTS = { TABLE: 1, SET: 2, ELEMENTS: 3, SET_ID: 4 }

/** A message of the batch: where it starts, which command it is of, and of elements the first row and where their list lies. */
type Sent = { at: number; command: Command | undefined; row?: number; listAt?: number }

export type Batch = { datagram: Uint8Array; first: number; messages: Sent[] }

/** `struct nfgenmsg` */
export const writeFamily = (w: MessageWriter, family: number, resource = 0): void => {
  w.u8(family)
  w.u8(0)
  w.u16be(resource)
}

/** Messages are numbered from `first` on. */
export const encodeBatch = (commands: readonly Command[], first: number, generation?: number): Batch => {
  const w = new MessageWriter(sizeOf(commands))
  const messages: Sent[] = []
  const setIds = new Map<string, number>()
  const begin = (type: number, flags: number, family: number, command?: Command, resource = 0): Sent => {
    const sent: Sent = { at: w.length, command }
    messages.push(sent)
    w.begin(type, NLM_F.REQUEST | flags, first + messages.length - 1)
    writeFamily(w, family, resource)
    return sent
  }
  begin(BATCH_BEGIN, 0, 0, undefined, SUBSYSTEM >> 8)
  if (generation !== undefined) w.attrU32be(BATCH_GENID, generation)
  w.end()
  for (const command of commands) {
    const { table } = command
    const family = families[table.family]
    const one = (type: number, flags: number) => {
      begin(SUBSYSTEM | type, flags, family, command)
      w.attrString(TABLE.NAME, table.name)
    }
    switch (command.does) {
      case 'add table':
        one(MSG.NEWTABLE, 0)
        w.attrU32be(TABLE.FLAGS, 0)
        break
      case 'delete table':
        one(MSG.DELTABLE, 0)
        break
      case 'add chain':
        one(MSG.NEWCHAIN, NLM_F.CREATE)
        writeChain(w, command.chain)
        break
      case 'delete chain':
        one(MSG.DELCHAIN, 0)
        w.attrString(CHAIN.NAME, command.name)
        break
      case 'flush chain':
        one(MSG.DELRULE, 0)
        w.attrString(RULE.CHAIN, command.name)
        break
      case 'add rule':
      case 'insert rule':
        one(MSG.NEWRULE, command.does === 'add rule' ? NLM_F.CREATE | NLM_F.APPEND : NLM_F.CREATE)
        writeRule(w, command.chain, command.rule, (set) => setIds.get(setKey(table, set)))
        if (command.at !== undefined) w.attrU64be(RULE.POSITION, BigInt(command.at))
        break
      case 'replace rule':
        one(MSG.NEWRULE, NLM_F.REPLACE)
        writeRule(w, command.chain, command.rule, (set) => setIds.get(setKey(table, set)))
        w.attrU64be(RULE.HANDLE, BigInt(command.handle))
        break
      case 'delete rule':
        one(MSG.DELRULE, 0)
        w.attrString(RULE.CHAIN, command.chain)
        w.attrU64be(RULE.HANDLE, BigInt(command.handle))
        break
      case 'add set': {
        const id = setIds.size + 1
        setIds.set(setKey(table, command.set.name), id)
        one(MSG.NEWSET, NLM_F.CREATE)
        writeSet(w, command.set, id)
        break
      }
      case 'delete set':
        one(MSG.DELSET, 0)
        w.attrString(SET.NAME, command.name)
        break
      case 'flush set':
        one(MSG.DELSETELEM, 0)
        w.attrString(ELEMENTS.SET, command.name)
        break
      case 'add object':
        one(MSG.NEWOBJ, NLM_F.CREATE)
        writeObject(w, command.object, table.family)
        break
      case 'delete object':
        one(MSG.DELOBJ, 0)
        writeObjectName(w, command.kind, command.name)
        break
      case 'add flowtable':
        one(MSG.NEWFLOWTABLE, NLM_F.CREATE)
        writeFlowtable(w, command.flowtable)
        break
      case 'delete flowtable':
        one(MSG.DELFLOWTABLE, 0)
        w.attrString(FLOWTABLE.NAME, command.name)
        break
      case 'add element':
      case 'delete element': {
        const { elements } = command
        const adds = command.does === 'add element'
        const id = adds ? setIds.get(setKey(table, elements.spec.name)) : undefined
        for (let row = 0; row < elements.count; ) {
          const sent = begin(SUBSYSTEM | (adds ? MSG.NEWSETELEM : MSG.DELSETELEM), adds ? NLM_F.CREATE : 0, family, command)
          w.attrString(ELEMENTS.TABLE, table.name)
          w.attrString(ELEMENTS.SET, elements.spec.name)
          if (id !== undefined) w.attrU32be(ELEMENTS.SET_ID, id)
          sent.row = row
          sent.listAt = w.length
          row = writeElements(w, ELEMENTS.ELEMENTS, elements, row, adds)
          w.end()
        }
        continue
      }
    }
    w.end()
  }
  begin(BATCH_END, 0, 0, undefined, SUBSYSTEM >> 8)
  w.end()
  return { datagram: w.bytes(), first, messages }
}

/** The row of an element that the kernel found fault with, from the offset in the message that it names. */
export const rowAt = (batch: Batch, sent: Sent, offset: number): number | undefined => {
  const { command, row, listAt } = sent
  if (row === undefined || listAt === undefined || command === undefined || !('elements' in command)) return undefined
  const { elements } = command
  const view = new DataView(batch.datagram.buffer, batch.datagram.byteOffset)
  const end = listAt + view.getUint16(listAt, true)
  let found = row
  let left = elementsOfRow(elements, found)
  for (let at = listAt + 4; at < end; at += (view.getUint16(at, true) + 3) & ~3) {
    if (sent.at + offset === at) return found
    if (--left > 0) continue
    found++
    left = elementsOfRow(elements, found)
  }
  return undefined
}

const setKey = (table: TableRef, set: string): string => `${table.family} ${table.name} ${set}`

/** About how much it will take, so that the buffer seldom grows. */
const sizeOf = (commands: readonly Command[]): number =>
  commands.reduce(
    (sum, command) => sum + ('elements' in command ? command.elements.count * (command.elements.shape.rowWords * 4 + 40) : 256),
    headerSize * 8,
  )

const writeChain = (w: MessageWriter, chain: ChainSpec): void => {
  w.attrString(CHAIN.NAME, chain.name)
  const { base } = chain
  if (!base) return
  w.attrString(CHAIN.TYPE, base.type)
  w.attrU32be(CHAIN.POLICY, base.policy === 'drop' ? 0 : 1)
  const hook = w.nest(CHAIN.HOOK)
  w.attrU32be(HOOK.NUM, hooks.indexOf(base.hook))
  w.attrU32be(HOOK.PRIORITY, base.priority >>> 0)
  w.unnest(hook)
}

const writeRule = (w: MessageWriter, chain: string, rule: RuleSpec, setId: SetId): void => {
  w.attrString(RULE.CHAIN, chain)
  writeExpressions(w, RULE.EXPRESSIONS, rule.expressions, setId)
  if (rule.comment === undefined) return
  // NFTNL_UDATA_RULE_COMMENT: type, length, text with its NUL
  const text = new TextEncoder().encode(`${rule.comment}\0`)
  if (text.length > 128) throw new RangeError(`comment of ${text.length - 1} bytes`)
  w.attrBytes(RULE.USERDATA, Uint8Array.from([0, text.length, ...text]))
}
