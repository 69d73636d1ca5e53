// Queueing disciplines and the one filter that leads a link's incoming packets to another link
// (linux/pkt_sched.h, linux/pkt_cls.h, tc-tbf(8), tc-mirred(8)).

import type { Command } from '../netlink/exchange.ts'
import { type MessageWriter, NLM_F } from '../netlink/message.ts'

const RTM_NEWQDISC = 36
const RTM_DELQDISC = 37
const RTM_NEWTFILTER = 44
const TCA = { KIND: 1, OPTIONS: 2 }
const TC_H_ROOT = 0xffff_ffff
const TC_H_INGRESS = 0xffff_fff1
const ingressHandle = 0xffff_0000
const TCA_TBF = { PARMS: 1, RATE64: 4, BURST: 6 }
const TCA_U32 = { SEL: 5, ACT: 7 }
const TC_U32_TERMINAL = 1
const TCA_ACT = { KIND: 1, OPTIONS: 2 }
const TCA_MIRRED_PARMS = 2
const TC_ACT_STOLEN = 4
const TCA_EGRESS_REDIR = 1
const ETH_P_ALL_BE = 0x0300
const mostU32 = 0xffff_ffff

/** `rate` in bytes a second; `burst` may be sent at once and `limit` may wait, in bytes. */
export type TokenBucket = { rate: number; burst: number; limit: number }

const header = (w: MessageWriter, link: number, { handle = 0, parent, info = 0 }: { handle?: number; parent: number; info?: number }) => {
  w.u32(0)
  w.u32(link)
  w.u32(handle)
  w.u32(parent)
  w.u32(info)
}

/** What the link sends is held to a rate; in the place of what it had at its root. */
export const replaceTokenBucket = (link: number, { rate, burst, limit }: TokenBucket): Command => ({
  type: RTM_NEWQDISC,
  flags: NLM_F.CREATE | NLM_F.REPLACE,
  detail: `replace qdisc tbf of link ${link}: ${rate} bytes/s`,
  write(w) {
    header(w, link, { parent: TC_H_ROOT })
    w.attrString(TCA.KIND, 'tbf')
    const options = w.nest(TCA.OPTIONS)
    // struct tc_tbf_qopt: rate and peak rate (tc_ratespec), limit, and the burst in ticks, for which BURST stands in.
    const parms = new Uint8Array(36)
    const view = new DataView(parms.buffer)
    view.setUint8(1, 1) // the link layer is Ethernet
    view.setUint32(8, Math.min(rate, mostU32), true)
    view.setUint32(24, Math.min(limit, mostU32), true)
    w.attrBytes(TCA_TBF.PARMS, parms)
    w.attrU32(TCA_TBF.BURST, Math.min(burst, mostU32))
    if (rate >= mostU32) w.attrU64(TCA_TBF.RATE64, BigInt(rate))
    w.unnest(options)
  },
})

/** ENOENT or EINVAL where there is none. */
export const deleteQdisc = (link: number, where: 'root' | 'ingress'): Command => ({
  type: RTM_DELQDISC,
  flags: 0,
  detail: `delete qdisc ${where} of link ${link}`,
  write(w) {
    header(w, link, where === 'root' ? { parent: TC_H_ROOT } : { handle: ingressHandle, parent: TC_H_INGRESS })
  },
})

/** Where filters for what the link receives are attached. EEXIST if it is there. */
export const addIngress = (link: number): Command => ({
  type: RTM_NEWQDISC,
  flags: NLM_F.CREATE | NLM_F.EXCL,
  detail: `add qdisc ingress to link ${link}`,
  write(w) {
    header(w, link, { handle: ingressHandle, parent: TC_H_INGRESS })
    w.attrString(TCA.KIND, 'ingress')
  },
})

/** All that the link receives goes out of link `to` instead: an ifb gives it back when its queue lets it. EEXIST if it is there. */
export const redirectIngress = (link: number, to: number): Command => ({
  type: RTM_NEWTFILTER,
  flags: NLM_F.CREATE | NLM_F.EXCL,
  detail: `add filter to link ${link}: everything to link ${to}`,
  write(w) {
    // A handle of its own, the first of the first table: a second one is EEXIST, not another filter.
    header(w, link, { handle: 0x8000_0800, parent: ingressHandle, info: (1 << 16) | ETH_P_ALL_BE })
    w.attrString(TCA.KIND, 'u32')
    const options = w.nest(TCA.OPTIONS)
    // struct tc_u32_sel with one key (mask, value, offset and its mask) that every packet matches.
    const selector = new Uint8Array(32)
    selector[0] = TC_U32_TERMINAL
    selector[2] = 1
    w.attrBytes(TCA_U32.SEL, selector)
    const actions = w.nest(TCA_U32.ACT)
    const action = w.nest(1)
    w.attrString(TCA_ACT.KIND, 'mirred')
    const mirred = w.nest(TCA_ACT.OPTIONS)
    // struct tc_mirred
    const parms = new Uint8Array(28)
    const view = new DataView(parms.buffer)
    view.setUint32(8, TC_ACT_STOLEN, true)
    view.setUint32(20, TCA_EGRESS_REDIR, true)
    view.setUint32(24, to, true)
    w.attrBytes(TCA_MIRRED_PARMS, parms)
    w.unnest(mirred)
    w.unnest(action)
    w.unnest(actions)
    w.unnest(options)
  },
})
