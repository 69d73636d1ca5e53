// Netlink messages and attributes (include/uapi/linux/netlink.h), written to and read from one
// ArrayBuffer. Header fields and plain integers are in host order, little-endian on every platform
// that Coracle runs on; the `be` variants are network order, as nf_tables and addresses want them.
// The writer grows and allocates nothing per attribute. The reader trusts no length: what it is
// handed is what it reads, and a length that points outside throws EBADMSG.

export { headerSize, NLA_F_NESTED } from './header.ts'
export { AttributeReader, MessageReader } from './reader.ts'
export { MessageWriter } from './writer.ts'

/** Message flags: `NLM_F_*`. */
export const NLM_F = {
  REQUEST: 0x1,
  MULTI: 0x2,
  ACK: 0x4,
  ECHO: 0x8,
  DUMP_INTR: 0x10,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
  /** On NLMSG_ERROR: the request's payload is left out, attributes follow. */
  CAPPED: 0x100,
  ACK_TLVS: 0x200,
} as const

/** Message types below those of any protocol. */
export const NLMSG = { NOOP: 1, ERROR: 2, DONE: 3, OVERRUN: 4 } as const
