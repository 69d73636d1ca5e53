// The package: everything that nft-js offers.

export { AttributeReader, headerSize, MessageReader, MessageWriter, NLM_F, NLMSG } from './netlink/message.ts'
export { openNetlink } from './netlink/socket.ts'
export { isSysError, SysError } from './sys-error.ts'
export type * from './types.ts'
