// Policy rules: which routing table answers for which packets (linux/fib_rules.h, ip-rule(8)).

import { AF_INET, type AF_INET6, addressBytes, addressText, familyOf } from '../netlink/address.ts'
import type { Command } from '../netlink/exchange.ts'
import { type MessageReader, type MessageWriter, NLM_F } from '../netlink/message.ts'
import { SysError } from '../sys-error.ts'

export const RTM_NEWRULE = 32
export const RTM_DELRULE = 33
const RTM_GETRULE = 34
const FRA = { DST: 1, SRC: 2, IIFNAME: 3, PRIORITY: 6, FWMARK: 10, TABLE: 15, FWMASK: 16, OIFNAME: 17 }
const FIB_RULE_INVERT = 2
const infoSize = 12
/** FR_ACT_* */
const actions = { lookup: 1, blackhole: 6, unreachable: 7, prohibit: 8 } as const

export type Rule = {
  family: typeof AF_INET | typeof AF_INET6
  /** Rules are tried from the lowest on. */
  priority: number
  /** Address/prefix. */
  from?: string
  to?: string
  /** Name of the interface that it came in by, or leaves by. */
  iif?: string
  oif?: string
  mark?: { value: number; mask: number }
  /** Holds for what does not match. */
  inverted?: boolean
  /** Default `lookup`, in `table` (default 254, main). */
  action?: keyof typeof actions
  table?: number
}

const prefixed = (text: string): [bytes: Uint8Array, prefix: number] => {
  const [address = '', prefix] = text.split('/')
  const bytes = addressBytes(address)
  const length = prefix === undefined ? bytes.length * 8 : Number(prefix)
  if (!(length >= 0 && length <= bytes.length * 8)) throw new SysError('EINVAL', 'address', text)
  return [bytes, length]
}

const write = (w: MessageWriter, rule: Rule): void => {
  const { family, from, to, mark, action = 'lookup', table = action === 'lookup' ? 254 : 0 } = rule
  for (const address of [from, to])
    if (address !== undefined && familyOf(address) !== family) throw new SysError('EAFNOSUPPORT', 'address', address)
  const [destination, toLength] = to === undefined ? [undefined, 0] : prefixed(to)
  const [source, fromLength] = from === undefined ? [undefined, 0] : prefixed(from)
  w.u8(family)
  w.u8(toLength)
  w.u8(fromLength)
  w.u8(0)
  w.u8(table < 256 ? table : 0)
  w.u16(0)
  w.u8(actions[action])
  w.u32(rule.inverted ? FIB_RULE_INVERT : 0)
  if (destination) w.attrBytes(FRA.DST, destination)
  if (source) w.attrBytes(FRA.SRC, source)
  if (rule.iif !== undefined) w.attrString(FRA.IIFNAME, rule.iif)
  if (rule.oif !== undefined) w.attrString(FRA.OIFNAME, rule.oif)
  w.attrU32(FRA.PRIORITY, rule.priority)
  if (mark) {
    w.attrU32(FRA.FWMARK, mark.value)
    w.attrU32(FRA.FWMASK, mark.mask)
  }
  if (table > 255) w.attrU32(FRA.TABLE, table)
}

const named = ({ priority, from, to, action, table = 254 }: Rule): string =>
  [`${priority}:`, from && `from ${from}`, to && `to ${to}`, action ?? `table ${table}`].filter(Boolean).join(' ')

/** EEXIST if there is one that is the same. */
export const addRule = (rule: Rule): Command => ({
  type: RTM_NEWRULE,
  flags: NLM_F.CREATE | NLM_F.EXCL,
  detail: `add rule ${named(rule)}`,
  write: (w) => write(w, rule),
})

/** ENOENT if there is none. */
export const deleteRule = (rule: Rule): Command => ({
  type: RTM_DELRULE,
  flags: 0,
  detail: `delete rule ${named(rule)}`,
  write: (w) => write(w, rule),
})

export const getRules = (family: typeof AF_INET | typeof AF_INET6 = AF_INET): Command => ({
  type: RTM_GETRULE,
  flags: NLM_F.DUMP,
  detail: 'get rules',
  write(w) {
    w.u8(family)
    w.zero(infoSize - 1)
  },
})

/** Reads RTM_NEWRULE or RTM_DELRULE; those of actions that this code does not know are left out. */
export const parseRule = (reader: MessageReader): Rule | undefined => {
  if (reader.type !== RTM_NEWRULE && reader.type !== RTM_DELRULE) return undefined
  const attributes = reader.attributes(infoSize)
  const { payload } = reader
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  const action = (Object.keys(actions) as (keyof typeof actions)[]).find((name) => actions[name] === payload[7])
  if (!action) return undefined
  const rule: Rule = { family: payload[0] as Rule['family'], priority: 0 }
  if (action === 'lookup') rule.table = payload[4]
  else rule.action = action
  if (view.getUint32(8, true) & FIB_RULE_INVERT) rule.inverted = true
  const mark = { value: 0, mask: 0 }
  while (attributes.next()) {
    const { type } = attributes
    if (type === FRA.DST) rule.to = `${addressText(attributes.bytes())}/${payload[1]}`
    else if (type === FRA.SRC) rule.from = `${addressText(attributes.bytes())}/${payload[2]}`
    else if (type === FRA.IIFNAME) rule.iif = attributes.string()
    else if (type === FRA.OIFNAME) rule.oif = attributes.string()
    else if (type === FRA.PRIORITY) rule.priority = attributes.u32()
    else if (type === FRA.FWMARK) mark.value = attributes.u32()
    else if (type === FRA.FWMASK) mark.mask = attributes.u32()
    else if (type === FRA.TABLE && action === 'lookup') rule.table = attributes.u32()
  }
  if (mark.mask !== 0) rule.mark = mark
  return rule
}
