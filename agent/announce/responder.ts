// Answers ARP and neighbour discovery for addresses that the node does not have, in the way its kernel
// does for those that it has, and tells the link when it begins to. Nothing of it is in the kernel: with
// this process the answers end, whatever ended it.

import { type FrameSocket, openFrames } from 'nft-js'
import type { Clock, Timer } from '#api/clock.ts'
import type { Log } from '#api/log.ts'
import { arpAnnouncements, arpProbe, arpReply, ETH_P_ARP, parseArp } from './arp.ts'
import { advertisementFor, ETH_P_IPV6, groupOf, ndpFilter, ndpProbe, parseNdp, unsolicited } from './ndp.ts'

/** Of the link on which addresses are announced. */
export type LinkEnd = { index: number; mac: string }

export interface Responder {
  /** Who on the link has the address already; undefined if nobody says so within half a second. */
  probe(address: string, link: LinkEnd): Promise<string | undefined>
  /** Answers for the address on the link from now on. Idempotent; on another link than before, it moves. */
  start(address: string, link: LinkEnd): Promise<void>
  /** Idempotent. */
  stop(address: string): void
  /** Tells the link again who has the address. */
  announce(address: string): void
  close(): void
}

export type ResponderOptions = {
  netns?: string
  clock: Clock
  log: Log
  /** Somebody else on the link says that it has an address which we answer for. */
  onRival: (address: string, mac: string) => void
}

/** Milliseconds after the first: a switch or host may miss one. */
const AGAIN_MS = [200, 1_000, 3_000]

/** When it is asked who has an address, and when that is not waited for any longer, milliseconds. */
const PROBES_MS = [0, 200]
const PATIENCE_MS = 500

type Answered = { link: LinkEnd; timers: Timer[] }
type Family = 'arp' | 'ndp'

export const openResponder = (options: ResponderOptions): Responder => new FrameResponder(options)

const familyOf = (address: string): Family => (address.includes(':') ? 'ndp' : 'arp')

class FrameResponder implements Responder {
  readonly #options: ResponderOptions
  readonly #answered = new Map<string, Answered>()
  /** By family and link; opened with the first address, closed with the last. */
  readonly #sockets = new Map<string, Promise<FrameSocket>>()

  /** By address: tells who has it. */
  readonly #probes = new Map<string, (mac: string) => void>()

  constructor(options: ResponderOptions) {
    this.#options = options
  }

  async probe(address: string, link: LinkEnd): Promise<string | undefined> {
    const family = familyOf(address)
    const socket = await this.#socket(family, link)
    const { promise, resolve } = Promise.withResolvers<string | undefined>()
    this.#probes.set(address, resolve)
    const question = family === 'arp' ? arpProbe(address, link.mac) : ndpProbe(address, link.mac)
    const timers = PROBES_MS.map((ms) => this.#options.clock.after(ms, () => this.#send(socket, [question])))
    timers.push(this.#options.clock.after(PATIENCE_MS, () => resolve(undefined)))
    try {
      return await promise
    } finally {
      for (const timer of timers) timer.cancel()
      this.#probes.delete(address)
      this.#closeUnused(family, link)
    }
  }

  async start(address: string, link: LinkEnd): Promise<void> {
    const before = this.#answered.get(address)
    const id = idOf(familyOf(address), link)
    if (before && idOf(familyOf(address), before.link) === id && before.link.mac === link.mac && this.#sockets.has(id)) return
    this.stop(address)
    const answered: Answered = { link, timers: [] }
    this.#answered.set(address, answered)
    try {
      const socket = await this.#socket(familyOf(address), link)
      if (this.#answered.get(address) !== answered) return
      if (familyOf(address) === 'ndp') socket.join(groupOf(address))
    } catch (error) {
      if (this.#answered.get(address) === answered) this.#answered.delete(address)
      throw error
    }
    this.announce(address)
    for (const ms of AGAIN_MS) answered.timers.push(this.#options.clock.after(ms, () => this.announce(address)))
  }

  stop(address: string): void {
    const answered = this.#answered.get(address)
    if (!answered) return
    this.#answered.delete(address)
    for (const timer of answered.timers) timer.cancel()
    const family = familyOf(address)
    const group = groupOf(address)
    const others = this.#closeUnused(family, answered.link)
    if (family === 'ndp' && others.length > 0 && !others.some((other) => groupOf(other) === group))
      this.#sockets.get(idOf(family, answered.link))?.then(
        (socket) => socket.leave(group),
        () => {},
      )
  }

  announce(address: string): void {
    const answered = this.#answered.get(address)
    if (!answered) return
    const { link } = answered
    const frames = familyOf(address) === 'arp' ? arpAnnouncements(address, link.mac) : [unsolicited(address, link.mac)]
    this.#sockets.get(idOf(familyOf(address), link))?.then(
      (socket) => this.#send(socket, frames),
      () => {},
    )
  }

  close(): void {
    for (const address of this.#answered.keys()) this.stop(address)
  }

  #socket(family: Family, link: LinkEnd): Promise<FrameSocket> {
    const id = idOf(family, link)
    const found = this.#sockets.get(id)
    if (found) return found
    const { netns, log } = this.#options
    const opened = openFrames({
      ...(netns !== undefined && { netns }),
      link: link.index,
      ...(family === 'arp' ? { protocol: ETH_P_ARP } : { protocol: ETH_P_IPV6, filter: ndpFilter }),
      onFrame: (frame) => (family === 'arp' ? this.#onArp(frame, link) : this.#onNdp(frame, link)),
      onEnd: (err) => {
        // The next `start` opens it anew.
        log.warn({ err, link: link.index }, 'addresses are not announced: the link is down')
        if (this.#sockets.get(id) === opened) this.#sockets.delete(id)
      },
    })
    opened.catch(() => this.#sockets.delete(id))
    this.#sockets.set(id, opened)
    return opened
  }

  /** Returns the addresses that the socket is still needed for; without any it is closed. */
  #closeUnused(family: Family, link: LinkEnd): string[] {
    const id = idOf(family, link)
    const needed = [...this.#answered].filter(([other, answered]) => idOf(familyOf(other), answered.link) === id).map(([other]) => other)
    const probed = [...this.#probes.keys()].filter((other) => familyOf(other) === family)
    if (needed.length + probed.length > 0) return needed
    const socket = this.#sockets.get(id)
    this.#sockets.delete(id)
    socket?.then(
      (open) => open.close(),
      () => {},
    )
    return needed
  }

  #onArp(frame: Uint8Array, link: LinkEnd): void {
    const arp = parseArp(frame)
    if (!arp) return
    if (arp.senderMac !== link.mac) this.#probes.get(arp.senderAddress)?.(arp.senderMac)
    if (arp.senderMac !== link.mac && this.#isAnswered(arp.senderAddress, link)) this.#options.onRival(arp.senderAddress, arp.senderMac)
    if (arp.operation === 'request' && this.#isAnswered(arp.targetAddress, link)) this.#answer('arp', link, arpReply(arp, link.mac))
  }

  #onNdp(frame: Uint8Array, link: LinkEnd): void {
    const message = parseNdp(frame)
    if (message?.kind === 'advertisement' && message.mac !== link.mac) this.#probes.get(message.target)?.(message.mac)
    if (!message || !this.#isAnswered(message.target, link)) return
    if (message.kind === 'solicitation') this.#answer('ndp', link, advertisementFor(message, link.mac))
    else if (message.mac !== link.mac) this.#options.onRival(message.target, message.mac)
  }

  #isAnswered(address: string, link: LinkEnd): boolean {
    return this.#answered.get(address)?.link.index === link.index
  }

  #answer(family: Family, link: LinkEnd, frame: Uint8Array): void {
    void this.#sockets.get(idOf(family, link))?.then((socket) => this.#send(socket, [frame]))
  }

  /** A frame that is lost is asked for again. */
  #send(socket: FrameSocket, frames: readonly Uint8Array[]): void {
    try {
      for (const frame of frames) socket.send(frame)
    } catch (err) {
      this.#options.log.debug({ err }, 'an announcement could not be sent')
    }
  }
}

const idOf = (family: Family, { index }: LinkEnd): string => `${family} ${index}`
