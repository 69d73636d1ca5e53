// Requests and their replies over one socket, in turn. Commands that go together travel in one
// datagram: the kernel answers each, carries out the rest although one failed (unlike a transaction),
// and the first failure is what the caller gets. Notifications need a socket of their own.

import { SysError } from '../sys-error.ts'
import type { NetlinkSocket } from '../types.ts'
import { type Ack, readAck } from './ack.ts'
import { MessageReader, MessageWriter, NLM_F, NLMSG } from './message.ts'

/** One request as data: what `write` adds follows the message header. */
export type Command = {
  type: number
  /** Beside NLM_F_REQUEST and NLM_F_ACK. */
  flags: number
  /** Says in an error what was attempted on which object. */
  detail: string
  write(w: MessageWriter): void
}

/** Acknowledgements wait in the kernel's receive buffer while a batch is carried out: few enough to fit. */
const batchSize = 256
/** A dump that raced with changes is inconsistent and taken again. */
const dumpAttempts = 8

export class Exchange {
  readonly #socket: NetlinkSocket
  readonly #datagrams: AsyncIterator<Uint8Array, undefined>
  readonly #writer = new MessageWriter(16 * 1024)
  #sequence = 0
  #turn: Promise<unknown> = Promise.resolve()

  constructor(socket: NetlinkSocket) {
    this.#socket = socket
    this.#datagrams = socket.messages()[Symbol.asyncIterator]() as AsyncIterator<Uint8Array, undefined>
  }

  /** Carries out commands in order. Throws the SysError of the first that failed, unless its code is among those tolerated. */
  run(commands: readonly Command[], options: { tolerate?: readonly string[] } = {}): Promise<void> {
    return this.#inTurn(async () => {
      let first: SysError | undefined
      for (let at = 0; at < commands.length; at += batchSize) {
        const error = await this.#runBatch(commands.slice(at, at + batchSize), options.tolerate ?? [])
        first ??= error
      }
      if (first) throw first
    })
  }

  /** Sends one request and collects what `parse` makes of each reply; undefined is left out. With NLM_F_DUMP the replies are all there is. */
  request<T>(command: Command, parse: (reply: MessageReader) => T | undefined): Promise<T[]> {
    return this.#inTurn(async () => {
      for (let attempt = 1; ; attempt++) {
        const found = await this.#requestOnce(command, parse)
        if (found) return found
        if (attempt === dumpAttempts) throw new SysError('EINTR', 'netlink', command.detail)
      }
    })
  }

  close(): void {
    this.#socket.close()
  }

  async #runBatch(commands: readonly Command[], tolerate: readonly string[]): Promise<SysError | undefined> {
    const start = this.#sequence + 1
    this.#writer.reset()
    for (const command of commands) this.#write(command, NLM_F.ACK)
    await this.#socket.sendAside(this.#writer.bytes())
    let pending = commands.length
    let first: SysError | undefined
    while (pending > 0) {
      const reader = await this.#receive()
      while (reader.next()) {
        const command = commands[reader.sequence - start]
        if (!command || reader.type !== NLMSG.ERROR) continue
        pending--
        const error = failure(command, readAck(reader))
        if (error && !tolerate.includes(error.code)) first ??= error
      }
    }
    return first
  }

  /** Undefined if the dump was interrupted by a change. */
  async #requestOnce<T>(command: Command, parse: (reply: MessageReader) => T | undefined): Promise<T[] | undefined> {
    const dump = (command.flags & NLM_F.DUMP) === NLM_F.DUMP
    this.#writer.reset()
    this.#write(command, dump ? 0 : NLM_F.ACK)
    const sequence = this.#sequence
    await this.#socket.sendAside(this.#writer.bytes())
    const found: T[] = []
    let interrupted = false
    for (;;) {
      const reader = await this.#receive()
      while (reader.next()) {
        if (reader.sequence !== sequence) continue
        if (reader.flags & NLM_F.DUMP_INTR && dump) interrupted = true
        if (reader.type === NLMSG.ERROR || reader.type === NLMSG.DONE) {
          const error = failure(command, readAck(reader))
          if (error?.code === 'EINTR' && dump) return undefined
          if (error) throw error
          return interrupted ? undefined : found
        }
        const value = parse(reader)
        if (value !== undefined) found.push(value)
      }
    }
  }

  #write(command: Command, flags: number): void {
    this.#sequence = (this.#sequence + 1) >>> 0 || 1
    this.#writer.begin(command.type, command.flags | flags | NLM_F.REQUEST, this.#sequence)
    command.write(this.#writer)
    this.#writer.end()
  }

  async #receive(): Promise<MessageReader> {
    const { value, done } = await this.#datagrams.next()
    if (done) throw new SysError('EBADF', 'recv', 'the socket was closed')
    return new MessageReader(value)
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => {})
    return result
  }
}

const failure = (command: Command, ack: Ack): SysError | undefined =>
  ack.errno === 0 ? undefined : new SysError(ack.errno, 'netlink', ack.text ? `${command.detail}: ${ack.text}` : command.detail)
