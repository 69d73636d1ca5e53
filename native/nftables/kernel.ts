// nf_tables of the kernel, in the network namespace that the socket was opened in.

import { readAck } from '../netlink/ack.ts'
import { AttributeReader, MessageReader, MessageWriter, NLM_F, NLMSG } from '../netlink/message.ts'
import { openNetlink } from '../netlink/socket.ts'
import { isSysError, SysError } from '../sys-error.ts'
import type { NetlinkSocket } from '../types.ts'
import { type Batch, encodeBatch, families, MSG, rowAt, SUBSYSTEM, writeFamily } from './batch.ts'
import type { Command } from './command.ts'
import { Elements } from './elements.ts'
import { elementReader } from './elements-codec.ts'
import { type Nft, NftError } from './nft.ts'
import { chainReader } from './read.ts'
import { readSet } from './set-codec.ts'
import type { Family, NftSet, SetSpec, Table } from './table.ts'
import { tableText } from './table-text.ts'

/** `netns`: path of a network namespace; absent: the process's own. */
export const openNft = async (options: { netns?: string } = {}): Promise<Nft> =>
  new KernelNft(await openNetlink('netfilter', { ...options, receiveBufferBytes: 4 * 1024 * 1024 }))

/** How often a listing is taken again because someone changed the tables meanwhile. */
const listAttempts = 10

/** A reply that says "not now", to which the right answer is to ask again. */
class Interrupted extends Error {}

class KernelNft implements Nft {
  readonly #socket: NetlinkSocket
  readonly #datagrams: AsyncIterator<Uint8Array>
  #sequence = 1
  /** Requests go one after the other: the socket's replies are those of the last. */
  #queue: Promise<unknown> = Promise.resolve()

  constructor(socket: NetlinkSocket) {
    this.#socket = socket
    this.#datagrams = socket.messages()[Symbol.asyncIterator]()
  }

  run(commands: readonly Command[], options: { generation?: number } = {}): Promise<void> {
    return this.#alone(async () => {
      const batch = encodeBatch(commands, this.#sequence, options.generation)
      this.#sequence += batch.messages.length
      try {
        await this.#socket.sendAside(batch.datagram)
      } catch (error) {
        throw isSysError(error) ? new NftError(error.code) : error
      }
      const error = await this.#refusal(batch)
      if (error) throw error
    })
  }

  generation(): Promise<number> {
    return this.#alone(() => this.#generation())
  }

  list(family: Family, table: string): Promise<Table | undefined> {
    return this.#alone(() =>
      uninterrupted(`list table ${family} ${table}`, async () => {
        const before = await this.#generation()
        const found = await this.#list(family, table)
        if ((await this.#generation()) !== before) throw new Interrupted()
        return found
      }),
    )
  }

  elements(family: Family, table: string, set: SetSpec): Promise<Elements | undefined> {
    return this.#alone(() =>
      uninterrupted(`list set ${family} ${table} ${set.name}`, async () => {
        const found = new Elements(set)
        try {
          await this.#fill(families[family], table, found)
          return found
        } catch (error) {
          if (isSysError(error, 'ENOENT')) return undefined
          throw error
        }
      }),
    )
  }

  async dump(family: Family, table: string): Promise<string> {
    const found = await this.list(family, table)
    return found ? tableText(found) : ''
  }

  close(): void {
    this.#socket.close()
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work)
    this.#queue = done.catch(() => {})
    return done
  }

  /**
   * What the kernel had against a batch. It answers before send returns, and only with errors: a
   * request for the generation, sent after it, marks the end of them.
   */
  async #refusal(batch: Batch): Promise<NftError | undefined> {
    let refusal: NftError | undefined
    const collect = (reader: MessageReader) => {
      const sent = batch.messages[reader.sequence - batch.first]
      if (reader.type !== NLMSG.ERROR || !sent) return
      const { errno, offset } = readAck(reader)
      if (errno === 0) return
      refusal ??= new NftError(errno, sent.command, offset === undefined ? undefined : rowAt(batch, sent, offset))
    }
    try {
      await this.#generation(collect)
    } catch (error) {
      if (!isSysError(error, 'ENOBUFS')) throw error
      // There were more errors than the socket holds: refused, then, only the reason may be lost.
      await this.#generation(collect)
      refusal ??= new NftError('ENOBUFS')
    }
    return refusal
  }

  async #generation(other?: (reader: MessageReader) => void): Promise<number> {
    let generation = 0
    await this.#request(
      { type: MSG.GETGEN, family: 0, flags: 0 },
      (payload) => {
        const attrs = new AttributeReader(payload, 4)
        while (attrs.next()) if (attrs.type === 1) generation = attrs.u32be()
      },
      other,
    )
    return generation
  }

  async #list(family: Family, name: string): Promise<Table | undefined> {
    const number = families[family]
    const ask = (type: number, attributes: (w: MessageWriter) => void, read: (attrs: AttributeReader) => void, dump = true) =>
      this.#request({ type, family: number, flags: dump ? NLM_F.DUMP : 0, attributes }, (payload) => read(new AttributeReader(payload, 4)))
    try {
      await ask(
        MSG.GETTABLE,
        (w) => w.attrString(1, name),
        () => {},
        false,
      )
    } catch (error) {
      if (isSysError(error, 'ENOENT')) return undefined
      throw error
    }
    const reader = chainReader(name)
    const ofTable = (w: MessageWriter) => w.attrString(1, name)
    await ask(MSG.GETCHAIN, ofTable, (attrs) => reader.chain(attrs))
    await ask(MSG.GETRULE, ofTable, (attrs) => reader.rule(attrs))
    const sets: NftSet[] = []
    await this.#request({ type: MSG.GETSET, family: number, flags: NLM_F.DUMP, attributes: ofTable }, (payload) => {
      if (tableOf(new AttributeReader(payload, 4)) !== name) return
      const elements = readSet(new AttributeReader(payload, 4))
      sets.push({ spec: elements.spec, elements })
    })
    for (const { elements } of sets) await this.#fill(number, name, elements)
    return { family, name, chains: reader.chains(), sets }
  }

  async #fill(family: number, table: string, elements: Elements): Promise<void> {
    const reader = elementReader(elements)
    const attributes = (w: MessageWriter) => {
      w.attrString(1, table)
      w.attrString(2, elements.spec.name)
    }
    await this.#request({ type: MSG.GETSETELEM, family, flags: NLM_F.DUMP, attributes }, (payload) => {
      const attrs = new AttributeReader(payload, 4)
      while (attrs.next()) if (attrs.type === 3) reader.read(attrs.nested())
    })
    reader.finish()
    // A dump of many datagrams goes on by count: if the set's hash table grows meanwhile, some elements come twice and as many are left out.
    if (hasTwins(elements)) throw new Interrupted()
  }

  /** One request and its replies, up to the last. Replies to others go to `other`. */
  async #request(
    request: { type: number; family: number; flags: number; attributes?: (w: MessageWriter) => void },
    read: (payload: Uint8Array) => void,
    other?: (reader: MessageReader) => void,
  ): Promise<void> {
    const sequence = this.#sequence++
    const w = new MessageWriter(256)
    w.begin(SUBSYSTEM | request.type, NLM_F.REQUEST | request.flags, sequence)
    writeFamily(w, request.family)
    request.attributes?.(w)
    w.end()
    await this.#socket.sendAside(w.bytes())
    let interrupted = false
    for (;;) {
      const { value, done } = await this.#datagrams.next()
      if (done) throw new SysError('EBADF', 'nftables', 'closed')
      const reader = new MessageReader(value)
      while (reader.next()) {
        if (reader.sequence !== sequence) {
          other?.(reader)
          continue
        }
        if (reader.flags & NLM_F.DUMP_INTR) interrupted = true
        if (reader.type === NLMSG.DONE) {
          if (interrupted) throw new Interrupted()
          return
        }
        if (reader.type === NLMSG.ERROR) {
          const { errno } = readAck(reader)
          if (errno === 0) return
          throw new SysError(errno, 'nftables', `message ${request.type}`)
        }
        read(reader.payload)
        if (!(reader.flags & NLM_F.MULTI)) return
      }
    }
  }
}

const uninterrupted = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
  for (let attempt = 1; attempt < listAttempts; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error
    }
  }
  throw new SysError('EINTR', 'nftables', what)
}

const hasTwins = (elements: Elements): boolean => {
  const keys = new Set<string>()
  for (let row = 0; row < elements.count; row++) keys.add(elements.keyOf(row))
  return keys.size < elements.count
}

const tableOf = (attrs: AttributeReader): string => {
  while (attrs.next()) if (attrs.type === 1) return attrs.string()
  return ''
}
