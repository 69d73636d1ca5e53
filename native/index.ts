// The package: everything that nft-js offers.

export { connectInNetns } from './connect.ts'
export { type ConnectionFilter, type Conntrack, openConntrack } from './conntrack/conntrack.ts'
export { type DatagramOptions, type DatagramSocket, openDatagrams } from './datagrams.ts'
export { makeNode, makeWhiteout, openBeneath, setXattr } from './files.ts'
export { type FrameSocket, openFrames } from './frames.ts'
export { mounts } from './mounts.ts'
export { namespaces, readSysctl, writeSysctl } from './namespaces.ts'
export { type Ack, readAck } from './netlink/ack.ts'
export { AF_INET, AF_INET6, addressBytes, addressText, macBytes, macText } from './netlink/address.ts'
export { type Command, Exchange } from './netlink/exchange.ts'
export { AttributeReader, headerSize, MessageReader, MessageWriter, NLM_F, NLMSG } from './netlink/message.ts'
export { openNetlink } from './netlink/socket.ts'
export {
  type Chain,
  type ChainSpec,
  chainOfVerdict,
  describeExpression,
  Elements,
  type FakeNft,
  type FlowtableSpec,
  fakeNft,
  inTable,
  type Nft,
  type NftChange,
  type NftCommand,
  NftError,
  type NftNotification,
  type ObjectKind,
  type ObjectSpec,
  openNft,
  type RuleSpec,
  type Selector,
  type SetSpec,
  type Table,
  type TableRef,
  tableText,
  type Verdict,
} from './nftables/index.ts'
export { connectPackets, type PacketSocket } from './packets.ts'
export { addAddress, deleteAddress, type InterfaceAddress } from './rtnetlink/address.ts'
export { addBridge, addIfb, addMacvlan, addVeth, addVxlan, deleteLink, type Link, setBridgePort, setLink } from './rtnetlink/link.ts'
export {
  deleteForwardingEntry,
  deleteNeighbour,
  type ForwardingEntry,
  type Neighbour,
  replaceForwardingEntry,
  replaceNeighbour,
} from './rtnetlink/neighbour.ts'
export { addIngress, deleteQdisc, redirectIngress, replaceTokenBucket, type TokenBucket } from './rtnetlink/qdisc.ts'
export { addRoute, deleteRoute, type Route, replaceRoute } from './rtnetlink/route.ts'
export { openRtnetlink, type Rtnetlink } from './rtnetlink/rtnetlink.ts'
export { addRule, deleteRule, type Rule } from './rtnetlink/rule.ts'
export { type Change, watchNetwork } from './rtnetlink/watch.ts'
export { isSysError, SysError } from './sys-error.ts'
export { openPty, setWindowSize } from './terminals.ts'
export type * from './types.ts'
