// nf_tables of the kernel, in the network namespace that the socket was opened in.

import { constants } from 'node:os'
import { readAck } from '../netlink/ack.ts'
import { AttributeReader, MessageReader, MessageWriter, NLM_F, NLMSG } from '../netlink/message.ts'
import { openNetlink } from '../netlink/socket.ts'
import { isSysError, SysError } from '../sys-error.ts'
import type { NetlinkSocket } from '../types.ts'
import { type Batch, encodeBatch, families, MSG, rowAt, SUBSYSTEM, writeFamily } from './batch.ts'
import type { Command } from './command.ts'
import { Elements } from './elements.ts'
import { elementReader } from './elements-codec.ts'
import type { Family, TableRef } from './family.ts'
import { type FlowtableSpec, readFlowtable } from './flowtable.ts'
import { dump, type Nft, NftError } from './nft.ts'
import type { ObjectSpec } from './object.ts'
import { readObject } from './object-codec.ts'
import { readChain, readRule, tableOf } from './read.ts'
import type { SetSpec } from './set.ts'
import { readSet } from './set-codec.ts'
import type { Chain, NftSet, Rule, Table } from './table.ts'
import { type NftNotification, NOTIFICATIONS, notifications } from './watch.ts'

/** `netns`: path of a network namespace; absent: the process's own. */
export const openNft = async (options: { netns?: string } = {}): Promise<Nft> => {
  const open = () => openNetlink('netfilter', { ...options, receiveBufferBytes })
  return nftOver(await open(), open)
}

/** The same over sockets of the caller's: one for requests, and more for each `watch`. */
export const nftOver = (socket: NetlinkSocket, open: () => Promise<NetlinkSocket>): Nft => new KernelNft(socket, open)

const receiveBufferBytes = 4 * 1024 * 1024

/** How often a listing is taken again because someone changed the tables meanwhile. */
const listAttempts = 10

/** Bytes of a `struct nfgenmsg`. */
const infoSize = 4

/** A reply that says "not now", to which the right answer is to ask again. */
class Interrupted extends Error {}

class KernelNft implements Nft {
  readonly #socket: NetlinkSocket
  readonly #datagrams: AsyncIterator<Uint8Array>
  readonly #open: () => Promise<NetlinkSocket>
  readonly #watching = new Set<NetlinkSocket>()
  #sequence = 1
  /** Requests go one after the other: the socket's replies are those of the last. */
  #queue: Promise<unknown> = Promise.resolve()

  constructor(socket: NetlinkSocket, open: () => Promise<NetlinkSocket>) {
    this.#socket = socket
    this.#open = open
    this.#datagrams = socket.messages()[Symbol.asyncIterator]()
  }

  run(commands: readonly Command[], options: { generation?: number } = {}): Promise<void> {
    return this.#alone(async () => {
      // A batch's numbers go up in one run.
      if (this.#sequence > 0x7fffffff) this.#sequence = 1
      const batch = encodeBatch(commands, this.#sequence, options.generation)
      this.#sequence += batch.messages.length
      try {
        await this.#socket.sendAside(batch.datagram)
      } catch (error) {
        throw isSysError(error) ? new NftError(error.code) : error
      }
      const refusal = refusalOf(batch, this.#socket.pending())
      if (refusal) throw refusal
    })
  }

  generation(): Promise<number> {
    return this.#alone(() => uninterrupted('generation', () => this.#generation()))
  }

  tables(): Promise<TableRef[]> {
    return this.#alone(() =>
      uninterrupted('list tables', async () => {
        const found: TableRef[] = []
        await this.#request({ type: MSG.GETTABLE, family: 0, flags: NLM_F.DUMP }, ({ payload }) => {
          const name = tableOf(new AttributeReader(payload, infoSize))
          const family = (Object.keys(families) as Family[]).find((family) => families[family] === payload[0])
          if (family) found.push({ family, name })
        })
        return found
      }),
    )
  }

  reset(family: Family, table: string): Promise<ObjectSpec[]> {
    return this.#alone(() => uninterrupted(`reset objects ${family} ${table}`, () => this.#objects(MSG.GETOBJ_RESET, family, table)))
  }

  async watch(signal?: AbortSignal): Promise<AsyncIterable<NftNotification>> {
    signal?.throwIfAborted()
    const socket = await this.#open()
    try {
      socket.join(NOTIFICATIONS)
    } catch (error) {
      socket.close()
      throw error
    }
    this.#watching.add(socket)
    const end = () => {
      signal?.removeEventListener('abort', end)
      this.#watching.delete(socket)
      socket.close()
    }
    signal?.addEventListener('abort', end, { once: true })
    if (signal?.aborted) end()
    return notifications(socket)
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

  dump(family?: Family, table?: string): Promise<string> {
    return dump(this, family, table)
  }

  close(): void {
    for (const socket of this.#watching) socket.close()
    this.#socket.close()
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work)
    this.#queue = done.catch(() => {})
    return done
  }

  async #generation(): Promise<number> {
    let generation = 0
    await this.#request({ type: MSG.GETGEN, family: 0, flags: 0 }, ({ payload }) => {
      const attrs = new AttributeReader(payload, infoSize)
      while (attrs.next()) if (attrs.type === 1) generation = attrs.u32be()
    })
    return generation
  }

  async #list(family: Family, name: string): Promise<Table | undefined> {
    const number = families[family]
    const ofTable = (w: MessageWriter) => w.attrString(1, name)
    // A dump may hold those of other tables too.
    const ask = (type: number, read: (attrs: () => AttributeReader) => void) =>
      this.#request({ type, family: number, flags: NLM_F.DUMP, attributes: ofTable }, ({ payload }) => {
        const attrs = () => new AttributeReader(payload, infoSize)
        if (tableOf(attrs()) === name) read(attrs)
      })
    try {
      await this.#request({ type: MSG.GETTABLE, family: number, flags: 0, attributes: ofTable }, () => {})
    } catch (error) {
      if (isSysError(error, 'ENOENT')) return undefined
      throw error
    }
    const chains = new Map<string, Chain & { rules: Rule[] }>()
    await ask(MSG.GETCHAIN, (attrs) => {
      const chain = readChain(attrs())
      chains.set(chain.name, { ...chain, rules: [] })
    })
    await ask(MSG.GETRULE, (attrs) => {
      const { chain, rule } = readRule(attrs())
      chains.get(chain)?.rules.push(rule)
    })
    const sets: NftSet[] = []
    await ask(MSG.GETSET, (attrs) => {
      const elements = readSet(attrs())
      sets.push({ spec: elements.spec, elements })
    })
    for (const { elements } of sets) await this.#fill(number, name, elements)
    const flowtables: FlowtableSpec[] = []
    await ask(MSG.GETFLOWTABLE, (attrs) => void flowtables.push(readFlowtable(attrs())))
    return { family, name, chains: [...chains.values()], sets, objects: await this.#objects(MSG.GETOBJ, family, name), flowtables }
  }

  async #objects(type: number, family: Family, name: string): Promise<ObjectSpec[]> {
    const objects: ObjectSpec[] = []
    const attributes = (w: MessageWriter) => w.attrString(1, name)
    await this.#request({ type, family: families[family], flags: NLM_F.DUMP, attributes }, ({ payload }) => {
      if (tableOf(new AttributeReader(payload, infoSize)) !== name) return
      const object = readObject(new AttributeReader(payload, infoSize), family)?.object
      if (object) objects.push(object)
    })
    return objects
  }

  async #fill(family: number, table: string, elements: Elements): Promise<void> {
    const reader = elementReader(elements)
    const attributes = (w: MessageWriter) => {
      w.attrString(1, table)
      w.attrString(2, elements.spec.name)
    }
    await this.#request({ type: MSG.GETSETELEM, family, flags: NLM_F.DUMP, attributes }, ({ payload }) => {
      const attrs = new AttributeReader(payload, infoSize)
      while (attrs.next()) if (attrs.type === 3) reader.read(attrs.nested())
    })
    reader.finish()
    // A dump of many datagrams goes on by count: if the set's hash table grows meanwhile, some elements come twice and as many are left out.
    if (hasTwins(elements)) throw new Interrupted()
  }

  /** One request and its replies, up to the last. */
  async #request(
    request: { type: number; family: number; flags: number; attributes?: (w: MessageWriter) => void },
    read: (reply: MessageReader) => void,
  ): Promise<void> {
    const sequence = this.#sequence
    this.#sequence = (this.#sequence + 1) >>> 0 || 1
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
        if (reader.sequence !== sequence) continue
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
        read(reader)
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

/** What the kernel had against a batch: it answers before send returns, and only with errors. The first is the reason. */
const refusalOf = (batch: Batch, { datagrams, overrun }: { datagrams: readonly Uint8Array[]; overrun: boolean }): NftError | undefined => {
  for (const datagram of datagrams) {
    const reader = new MessageReader(datagram)
    while (reader.next()) {
      const sent = batch.messages[reader.sequence - batch.first]
      if (reader.type !== NLMSG.ERROR || !sent) continue
      const { errno, offset, text } = readAck(reader)
      if (errno === 0) continue
      const { command } = sent
      // Of all that may be missing the kernel names the attribute, but of flowtables as such.
      if (errno === constants.errno.ENOENT && offset === undefined && command?.does === 'add flowtable')
        return new NftError('EOPNOTSUPP', command, undefined, 'the kernel has no flowtables')
      return new NftError(errno, command, offset === undefined ? undefined : rowAt(batch, sent, offset), text)
    }
  }
  return overrun ? new NftError('ENOBUFS') : undefined
}
