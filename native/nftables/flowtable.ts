// Flowtables: flows that a rule adds to one (`flow add @fast`) skip the rest of the host's path from their
// second packet on. Kernels built without NF_FLOW_TABLE refuse them with EOPNOTSUPP.

import type { AttributeReader, MessageWriter } from '../netlink/message.ts'

export type FlowtableSpec = {
  readonly name: string
  /** Of the ingress hook, the only one they have. */
  readonly priority: number
  /** Interfaces between which flows are forwarded; each must be there (ENOENT). */
  readonly devices: readonly string[]
  /** `offload`: in the hardware; `counter`: rules and the connection table go on counting. */
  readonly flags?: readonly (keyof typeof flagBits)[]
}

// NFTA_FLOWTABLE_*
const FLOWTABLE = { NAME: 2, HOOK: 3, FLAGS: 7 }
const HOOK = { NUM: 1, PRIORITY: 2, DEVICES: 3 }
const DEVICE_NAME = 1
const INGRESS = 0
const flagBits = { offload: 1, counter: 2 } as const

/** Writes what follows the table's name. */
export const writeFlowtable = (w: MessageWriter, { name, priority, devices, flags = [] }: FlowtableSpec): void => {
  w.attrString(FLOWTABLE.NAME, name)
  const hook = w.nest(FLOWTABLE.HOOK)
  w.attrU32be(HOOK.NUM, INGRESS)
  w.attrU32be(HOOK.PRIORITY, priority >>> 0)
  if (devices.length > 0) {
    const list = w.nest(HOOK.DEVICES)
    for (const device of devices) w.attrString(DEVICE_NAME, device)
    w.unnest(list)
  }
  w.unnest(hook)
  const bits = flags.reduce((sum, flag) => sum | flagBits[flag], 0)
  if (bits) w.attrU32be(FLOWTABLE.FLAGS, bits)
}

export const readFlowtable = (attrs: AttributeReader): FlowtableSpec => {
  let [name, priority, flags] = ['', 0, 0]
  const devices: string[] = []
  while (attrs.next()) {
    if (attrs.type === FLOWTABLE.NAME) name = attrs.string()
    else if (attrs.type === FLOWTABLE.FLAGS) flags = attrs.u32be()
    else if (attrs.type === FLOWTABLE.HOOK) {
      const hook = attrs.nested()
      while (hook.next()) {
        if (hook.type === HOOK.PRIORITY) priority = hook.u32be() | 0
        else if (hook.type === HOOK.DEVICES) {
          const list = hook.nested()
          while (list.next()) if (list.type === DEVICE_NAME) devices.push(list.string())
        }
      }
    }
  }
  const set = (Object.keys(flagBits) as (keyof typeof flagBits)[]).filter((flag) => flags & flagBits[flag])
  return { name, priority, devices, ...(set.length > 0 && { flags: set }) }
}

/** The lines between its braces; `priority` as nft words it. */
export const flowtableLines = ({ devices, flags = [] }: FlowtableSpec, priority: string): string[] => [
  `hook ingress priority ${priority}`,
  `devices = { ${devices.join(', ')} }`,
  ...(flags.length > 0 ? [`flags ${flags.join(',')}`] : []),
]
