// NLMSG_ERROR, which also acknowledges (error 0), and what the kernel says about an error beside its
// number: the extended acknowledgement (linux/netlink.h, enum nlmsgerr_attrs).

import type { SysErrorLike } from '../types.ts'
import { headerSize, type MessageReader, NLM_F, NLMSG } from './message.ts'

const NLMSGERR_ATTR_MSG = 1
const NLMSGERR_ATTR_OFFS = 2

/** `errno` is positive, 0 for success. `offset` is where in the request the attribute stands that was refused. */
export type Ack = { errno: number; text?: SysErrorLike['detail']; offset?: number }

/** Reads the NLMSG_ERROR or NLMSG_DONE that a reader stands on. */
export const readAck = (reader: MessageReader): Ack => {
  const { payload } = reader
  // A dump's NLMSG_DONE from an old kernel may carry nothing.
  if (payload.length < 4) return { errno: 0 }
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  const ack: Ack = { errno: -view.getInt32(0, true) }
  if (!(reader.flags & NLM_F.ACK_TLVS)) return ack
  const attributes = reader.attributes(4 + echoed(reader, view))
  while (attributes.next()) {
    if (attributes.type === NLMSGERR_ATTR_MSG) ack.text = attributes.string()
    else if (attributes.type === NLMSGERR_ATTR_OFFS) ack.offset = attributes.u32()
  }
  return ack
}

/** Bytes of the request that an error quotes before its attributes; NLMSG_DONE quotes none. */
const echoed = (reader: MessageReader, view: DataView): number => {
  if (reader.type !== NLMSG.ERROR) return 0
  if (reader.flags & NLM_F.CAPPED || view.byteLength < 8) return headerSize
  return view.getUint32(4, true)
}
