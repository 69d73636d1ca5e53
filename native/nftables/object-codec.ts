// Stateful objects to and from netlink attributes.

import type { AttributeReader, MessageWriter } from '../netlink/message.ts'
import { SysError } from '../sys-error.ts'
import type { Family } from './family.ts'
import { burstOf, type Limit, type ObjectKind, type ObjectSpec, type Quota, seconds, stateTimeouts } from './object.ts'

// NFTA_OBJ_*, NFTA_COUNTER_*, NFTA_QUOTA_*, NFTA_LIMIT_*, NFTA_CT_HELPER_*, NFTA_CT_TIMEOUT_*
const OBJ = { NAME: 2, TYPE: 3, DATA: 4 }
const COUNTER = { BYTES: 1, PACKETS: 2 }
const QUOTA = { BYTES: 1, FLAGS: 2, CONSUMED: 4 }
const LIMIT = { RATE: 1, UNIT: 2, BURST: 3, TYPE: 4, FLAGS: 5 }
const HELPER = { NAME: 1, L3: 2, L4: 3 }
const TIMEOUT = { L3: 1, L4: 2, DATA: 3 }
/** NFT_QUOTA_F_INV, NFT_LIMIT_F_INV */
const INVERTED = 1

/** NFT_OBJECT_* */
export const objectTypes: Record<ObjectKind, number> = { counter: 1, quota: 2, 'ct helper': 3, limit: 4, 'ct timeout': 7 }
const kinds = new Map(Object.entries(objectTypes).map(([kind, type]) => [type, kind as ObjectKind]))
export const objectKind = (type: number): ObjectKind | undefined => kinds.get(type)

const protocols = { tcp: 6, udp: 17 } as const
/** NFPROTO_*: 1 is inet. */
const l3Numbers = { inet: 1, ip: 2, ip6: 10 }

export const writeLimit = (w: MessageWriter, limit: Limit): void => {
  const { rate, per, unit, over } = limit
  w.attrU64be(LIMIT.RATE, BigInt(rate))
  w.attrU64be(LIMIT.UNIT, BigInt(seconds[per]))
  w.attrU32be(LIMIT.BURST, burstOf(limit))
  w.attrU32be(LIMIT.TYPE, unit === 'bytes' ? 1 : 0)
  w.attrU32be(LIMIT.FLAGS, over ? INVERTED : 0)
}

export const writeQuota = (w: MessageWriter, { bytes, used = 0n, over }: Quota): void => {
  w.attrU64be(QUOTA.BYTES, bytes)
  w.attrU64be(QUOTA.CONSUMED, used)
  w.attrU32be(QUOTA.FLAGS, over ? INVERTED : 0)
}

/** Writes what follows the table's name. */
export const writeObject = (w: MessageWriter, object: ObjectSpec, family: Family): void => {
  writeObjectName(w, object.kind, object.name)
  const data = w.nest(OBJ.DATA)
  switch (object.kind) {
    case 'counter':
      w.attrU64be(COUNTER.BYTES, object.bytes ?? 0n)
      w.attrU64be(COUNTER.PACKETS, object.packets ?? 0n)
      break
    case 'quota':
      writeQuota(w, object)
      break
    case 'limit':
      writeLimit(w, object)
      break
    case 'ct helper':
      // Without a closing NUL, as nft has it.
      w.attrBytes(HELPER.NAME, new TextEncoder().encode(object.helper))
      w.attrU16be(HELPER.L3, l3Numbers[object.l3 ?? family])
      w.attrU8(HELPER.L4, protocols[object.protocol])
      break
    default: {
      w.attrU8(TIMEOUT.L4, protocols[object.protocol])
      if (object.l3) w.attrU16be(TIMEOUT.L3, l3Numbers[object.l3])
      const states = stateTimeouts[object.protocol]
      const unknown = Object.keys(object.seconds).find((state) => !Object.hasOwn(states, state))
      if (unknown !== undefined) throw new TypeError(`ct timeout ${object.name}: ${object.protocol} has no state ${unknown}`)
      const policy = w.nest(TIMEOUT.DATA)
      for (const [i, [state, usual]] of Object.entries(states).entries()) w.attrU32be(i + 1, object.seconds[state] ?? usual)
      w.unnest(policy)
    }
  }
  w.unnest(data)
}

export const writeObjectName = (w: MessageWriter, kind: ObjectKind, name: string): void => {
  w.attrString(OBJ.NAME, name)
  w.attrU32be(OBJ.TYPE, objectTypes[kind])
}

/** Undefined if it is of a kind that this code does not know. Of one that is gone the kernel says no more than the name. */
export const readObject = (attrs: AttributeReader, family: Family): { kind: ObjectKind; name: string; object?: ObjectSpec } | undefined => {
  let name = ''
  let kind: ObjectKind | undefined
  let data: AttributeReader | undefined
  while (attrs.next()) {
    if (attrs.type === OBJ.NAME) name = attrs.string()
    else if (attrs.type === OBJ.TYPE) kind = objectKind(attrs.u32be())
    else if (attrs.type === OBJ.DATA) data = attrs.nested()
  }
  return kind && { kind, name, ...(data && { object: readData(name, kind, data, family) }) }
}

const readData = (name: string, kind: ObjectKind, data: AttributeReader, family: Family): ObjectSpec => {
  switch (kind) {
    case 'counter': {
      let [packets, bytes] = [0n, 0n]
      while (data.next()) {
        if (data.type === COUNTER.BYTES) bytes = data.u64be()
        else if (data.type === COUNTER.PACKETS) packets = data.u64be()
      }
      return { kind, name, packets, bytes }
    }
    case 'quota': {
      const quota = { bytes: 0n, used: 0n, over: false }
      while (data.next()) {
        if (data.type === QUOTA.BYTES) quota.bytes = data.u64be()
        else if (data.type === QUOTA.CONSUMED) quota.used = data.u64be()
        else if (data.type === QUOTA.FLAGS) quota.over = (data.u32be() & INVERTED) !== 0
      }
      return { kind, name, ...quota }
    }
    case 'limit': {
      const numbers = new Map<number, bigint>()
      while (data.next()) if (data.length >= 4) numbers.set(data.type, data.length >= 8 ? data.u64be() : BigInt(data.u32be()))
      return { kind, name, ...limitOf((field) => Number(numbers.get(field) ?? 0n)) }
    }
    case 'ct helper': {
      let [helper, l3, l4] = ['', 0, 0]
      while (data.next()) {
        if (data.type === HELPER.NAME) helper = data.string()
        else if (data.type === HELPER.L3) l3 = data.u16be()
        else if (data.type === HELPER.L4) l4 = data.u8()
      }
      return { kind, name, helper, ...ofConnections(l3, l4, family) }
    }
    default: {
      let [l3, l4] = [0, 0]
      const values: [number, number][] = []
      while (data.next()) {
        if (data.type === TIMEOUT.L3) l3 = data.u16be()
        else if (data.type === TIMEOUT.L4) l4 = data.u8()
        else if (data.type === TIMEOUT.DATA) {
          const policy = data.nested()
          while (policy.next()) values.push([policy.type, policy.u32be()])
        }
      }
      const of = ofConnections(l3, l4, family)
      const states = Object.entries(stateTimeouts[of.protocol])
      const changed = values.flatMap(([type, value]) => {
        const [state, usual] = states[type - 1] ?? []
        return state === undefined || value === usual ? [] : [[state, value] as const]
      })
      return { kind, name, ...of, seconds: Object.fromEntries(changed) }
    }
  }
}

const ofConnections = (l3: number, l4: number, family: Family): { protocol: 'tcp' | 'udp'; l3?: 'ip' | 'ip6' } => {
  const protocol = l4 === protocols.udp ? 'udp' : 'tcp'
  if (l3 === l3Numbers[family]) return { protocol }
  return { protocol, l3: l3 === l3Numbers.ip6 ? 'ip6' : 'ip' }
}

/** A limit from its NFTA_LIMIT_* numbers. */
export const limitOf = (number: (field: number) => number): Limit => {
  const per = (Object.keys(seconds) as (keyof typeof seconds)[]).find((name) => seconds[name] === number(LIMIT.UNIT))
  if (!per) throw new SysError('EPROTONOSUPPORT', 'nftables', `limit per ${number(LIMIT.UNIT)} seconds`)
  return {
    rate: number(LIMIT.RATE),
    per,
    unit: number(LIMIT.TYPE) === 0 ? 'packets' : 'bytes',
    burst: number(LIMIT.BURST),
    over: (number(LIMIT.FLAGS) & INVERTED) !== 0,
  }
}
