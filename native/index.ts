// The package: everything that nft-js offers.

export { connectInNetns } from './connect.ts'
export { makeNode, makeWhiteout, setXattr } from './files.ts'
export { mounts } from './mounts.ts'
export { namespaces, readSysctl, writeSysctl } from './namespaces.ts'
export { AttributeReader, headerSize, MessageReader, MessageWriter, NLM_F, NLMSG } from './netlink/message.ts'
export { openNetlink } from './netlink/socket.ts'
export { isSysError, SysError } from './sys-error.ts'
export { openPty, setWindowSize } from './terminals.ts'
export type * from './types.ts'
