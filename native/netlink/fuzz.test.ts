// Whatever a datagram holds, it is decoded or refused with a SysError; nothing outside of it is looked at.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { deleteConnection, getConnections, parseConnection } from '../conntrack/entry.ts'
import { encodeBatch } from '../nftables/batch.ts'
import { inTable } from '../nftables/command.ts'
import { everything } from '../nftables/conformance.ts'
import { nftOver } from '../nftables/kernel.ts'
import { notifications } from '../nftables/watch.ts'
import { addAddress, parseAddress } from '../rtnetlink/address.ts'
import { addMacvlan, addVeth, addVxlan, parseLink } from '../rtnetlink/link.ts'
import { parseForwardingEntry, parseNeighbour, replaceForwardingEntry, replaceNeighbour } from '../rtnetlink/neighbour.ts'
import { addRoute, parseRoute } from '../rtnetlink/route.ts'
import { addRule, parseRule } from '../rtnetlink/rule.ts'
import { parseChange } from '../rtnetlink/watch.ts'
import { SysError } from '../sys-error.ts'
import { freshNetns, needsRoot } from '../testing/fresh-netns.ts'
import { type Random, seeded } from '../testing/random.ts'
import type { NetlinkSocket } from '../types.ts'
import { readAck } from './ack.ts'
import { AF_INET, AF_INET6 } from './address.ts'
import { Exchange } from './exchange.ts'
import { headerSize, MessageReader, MessageWriter, NLM_F, NLMSG } from './message.ts'
import { openNetlink } from './socket.ts'

const rounds = Number(process.env.FUZZ_ROUNDS ?? 3000)

/** Messages as the kernel would send them, one each: what we ask for looks like what it answers. */
const written = (): Uint8Array[] => {
  const vxlan = { id: 1, port: 8472, local: '192.0.2.1', learning: false }
  const connection = {
    original: { source: '10.0.0.1', destination: '10.0.0.2', protocol: 6, sourcePort: 1, destinationPort: 2 },
    reply: { source: '10.0.0.2', destination: '10.0.0.1', protocol: 6, sourcePort: 2, destinationPort: 1 },
    id: 1,
    zone: 0,
    timeout: 1,
  }
  const commands = [
    addVeth({ name: 'a', mtu: 1450, master: 7, peer: { name: 'b', address: '0a:58:0a:2a:01:05' } }),
    addVxlan({ name: 'vx', vxlan }),
    addMacvlan({ name: 'mv', parent: 1, mode: 'bridge' }),
    addAddress({ link: 1, address: '10.0.0.1', prefix: 24 }),
    addAddress({ link: 1, address: 'fd00::1', prefix: 64 }),
    addRoute({ to: '10.42.2.0/24', via: '10.42.2.1', link: 5, onlink: true, source: '10.42.1.1', protocol: 67, mtu: 1400 }),
    addRoute({ to: 'fd01::/64', via: 'fd00::2', metric: 5 }),
    addRule({ family: AF_INET, priority: 100, from: '10.0.0.0/8', iif: 'lo', mark: { value: 1, mask: 3 }, table: 1000 }),
    addRule({ family: AF_INET6, priority: 101, to: 'fd00::/64', action: 'prohibit' }),
    replaceNeighbour({ link: 1, address: '10.42.2.1', mac: '0a:58:c0:00:02:02' }),
    replaceForwardingEntry({ link: 1, mac: '0a:58:c0:00:02:02', to: '192.0.2.2' }),
    { ...deleteConnection(connection), type: getConnections(AF_INET).type & ~1 },
  ]
  const messages = commands.map((command) => {
    const w = new MessageWriter()
    w.begin(command.type, NLM_F.MULTI, 1)
    command.write(w)
    w.end()
    return w.bytes().slice()
  })
  for (const transaction of everything) {
    const { datagram, messages: sent } = encodeBatch(transaction, 1)
    messages.push(...sent.map(({ at }, i) => datagram.slice(at, sent[i + 1]?.at)))
  }
  return messages
}

/** A datagram made of one or two good ones: cut, with bytes, lengths and types changed. */
const hostile = (corpus: readonly Uint8Array[], random: Random): Uint8Array => {
  const [first, second] = [random.pick(corpus), random.pick(corpus)]
  let bytes = random.below(4) === 0 ? Uint8Array.of(...first, ...second) : first.slice()
  if (random.below(3) === 0) bytes = bytes.slice(0, random.below(bytes.length + 1))
  // As if the kernel had sent it that short.
  if (bytes.length >= headerSize && random.below(2) === 0) new DataView(bytes.buffer).setUint32(0, bytes.length, true)
  for (let i = random.below(6); i > 0 && bytes.length > 0; i--) {
    const at = random.below(bytes.length)
    // Lengths and types stand at multiples of four.
    if (random.below(2) === 0) bytes[at & ~3] = random.pick([0, 1, 3, 4, 5, 8, 255])
    else bytes[at] = random.below(256)
  }
  return bytes
}

const decoders: Record<string, (reader: MessageReader) => unknown> = {
  parseLink,
  parseAddress,
  parseRoute,
  parseRule,
  parseNeighbour,
  parseForwardingEntry,
  parseConnection,
  parseChange,
  readAck,
}

/** What a decoder makes of a datagram, or the code it refuses it with; anything but a SysError is thrown. */
const outcome = (decode: (reader: MessageReader) => unknown, datagram: Uint8Array): unknown[] => {
  const found: unknown[] = []
  try {
    const reader = new MessageReader(datagram)
    while (reader.next()) found.push(decode(reader))
  } catch (error) {
    if (!(error instanceof SysError)) throw error
    found.push(error.code, error.detail)
  }
  return found
}

/** The same bytes within a larger buffer that is full of something else. */
const inside = (bytes: Uint8Array): Uint8Array => {
  const larger = new Uint8Array(bytes.length + 128).fill(0xee)
  larger.set(bytes, 64)
  return larger.subarray(64, 64 + bytes.length)
}

test('every decoder of rtnetlink and the connection table', () => {
  const corpus = written()
  const random = seeded(1)
  let refused = 0
  for (let round = 0; round < rounds; round++) {
    const datagram = hostile(corpus, random)
    for (const [name, decode] of Object.entries(decoders)) {
      const got = outcome(decode, datagram)
      assert.deepEqual(outcome(decode, inside(datagram)), got, name)
      if (got.includes('EBADMSG')) refused++
    }
  }
  assert(refused > rounds / 10, `${refused} were refused`)
})

/** A socket whose kernel answers each request with the datagrams that `answer` makes of its sequence number. */
const answering = (answer: (sequence: number, type: number) => Uint8Array[]): NetlinkSocket => {
  const queue: Uint8Array[] = []
  const send = (message: Uint8Array) => {
    const reader = new MessageReader(message)
    let [sequence, type] = [0, 0]
    while (reader.next()) ({ sequence, type } = reader)
    queue.push(...answer(sequence, type))
  }
  return {
    send,
    sendAside: async (message) => send(message),
    messages: () => ({
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          const value = queue.shift()
          return value ? { value, done: false as const } : { value: undefined, done: true as const }
        },
      }),
    }),
    pending: () => ({ datagrams: queue.splice(0), overrun: false }),
    join() {},
    close() {},
  }
}

/** Gives every message of a datagram, as far as there are whole ones, the sequence number that is waited for. */
const inAnswerTo = (sequence: number, datagram: Uint8Array): Uint8Array => {
  const bytes = datagram.slice()
  const view = new DataView(bytes.buffer)
  for (let at = 0; at + headerSize <= bytes.length; ) {
    view.setUint32(at + 8, sequence, true)
    view.setUint16(at + 6, view.getUint16(at + 6, true) | NLM_F.MULTI, true)
    at += Math.max((view.getUint32(at, true) + 3) & ~3, headerSize)
  }
  return bytes
}

const done = (sequence: number): Uint8Array => {
  const w = new MessageWriter(32)
  w.begin(NLMSG.DONE, NLM_F.MULTI, sequence)
  w.u32(0)
  w.end()
  return w.bytes()
}

const onlySysError = async (work: () => Promise<unknown>): Promise<unknown> => {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof SysError)) throw error
    return error.code
  }
}

const fuzzNft = async (corpus: readonly Uint8Array[], seed: number, count: number): Promise<Map<unknown, number>> => {
  const random = seeded(seed)
  const outcomes = new Map<unknown, number>()
  const byType = Map.groupBy(
    corpus.filter((message) => message.length >= headerSize),
    (message) => new DataView(message.buffer, message.byteOffset).getUint16(4, true),
  )
  const table = inTable({ family: 'ip', name: 'conformance' })
  const [, , , , services] = everything[0]!.flatMap((command) => (command.does === 'add set' ? [command.set] : []))
  for (let round = 0; round < count; round++) {
    const socket = answering((sequence, type) => {
      // NFT_MSG_GETTABLE is answered by NFT_MSG_NEWTABLE, and so on.
      const fitting = byType.get(type - 1) ?? corpus
      const one = () => {
        const list = random.below(8) === 0 ? corpus : fitting
        return inAnswerTo(sequence, random.below(3) === 0 ? random.pick(list) : hostile(list, random))
      }
      return [...Array.from({ length: 1 + random.below(2) }, one), done(sequence)]
    })
    const nft = nftOver(socket, async () => socket)
    const works = [
      () => nft.dump('ip', 'conformance'),
      () => nft.dump('ip', 'objects'),
      () => nft.tables(),
      () => nft.reset('ip', 'objects'),
      () => nft.generation(),
      () => nft.elements('ip', 'conformance', services!),
      () => nft.run([table.add(), table.deleteChain('x')]),
    ]
    for (const work of works) {
      const got = await onlySysError(work)
      const kind = typeof got === 'string' && /^E[A-Z]+$/.test(got) ? got : 'value'
      outcomes.set(kind, (outcomes.get(kind) ?? 0) + 1)
    }
    const watched = answering(() => [hostile(corpus, random), hostile(corpus, random)])
    watched.send(corpus[0]!)
    await onlySysError(async () => {
      for await (const told of notifications(watched)) {
        for (const change of told.kind === 'transaction' ? told.changes : [])
          if (change.what === 'elements') await onlySysError(async () => change.elements(services!))
      }
    })
  }
  return outcomes
}

test('nftables: every question, whatever is answered', async () => {
  const outcomes = await fuzzNft(written(), 2, rounds / 4)
  assert((outcomes.get('value') ?? 0) > 0 && (outcomes.get('EBADMSG') ?? 0) > 0, [...outcomes].join(' '))
})

test('an exchange with a kernel that answers nonsense ends', async () => {
  const corpus = written()
  const random = seeded(3)
  for (let round = 0; round < rounds; round++) {
    const exchange = new Exchange(answering((sequence) => [inAnswerTo(sequence, hostile(corpus, random)), done(sequence)]))
    const command = addAddress({ link: 1, address: '10.0.0.1', prefix: 24 })
    await onlySysError(() => exchange.request({ ...command, flags: NLM_F.DUMP }, parseLink))
    await onlySysError(() => exchange.run([command]))
  }
})

/** Every datagram that the kernel sends while a rule set and some links are made and listed. */
const recorded = async (t: TestContext): Promise<Uint8Array[]> => {
  const netns = await freshNetns(t)
  const datagrams: Uint8Array[] = []
  const recording = async (protocol: 'route' | 'netfilter'): Promise<NetlinkSocket> => {
    const socket = await openNetlink(protocol, { netns })
    t.after(() => socket.close())
    return {
      send: (message) => socket.send(message),
      sendAside: (message) => socket.sendAside(message),
      join: (group) => socket.join(group),
      close: () => socket.close(),
      pending: () => socket.pending(),
      messages: () => ({
        [Symbol.asyncIterator]: () => {
          const inner = socket.messages()[Symbol.asyncIterator]()
          return {
            async next() {
              const next = await inner.next()
              if (!next.done && next.value.length < 4096) datagrams.push(next.value.slice())
              return next
            },
          }
        },
      }),
    }
  }
  const nft = nftOver(await recording('netfilter'), () => recording('netfilter'))
  const told = (await nft.watch())[Symbol.asyncIterator]()
  for (const transaction of everything) {
    await nft.run(transaction)
    await told.next()
  }
  await nft.dump()
  const exchange = new Exchange(await recording('route'))
  await exchange.run([addVeth({ name: 'v0', peer: { name: 'v1' } }), addAddress({ link: 1, address: '10.0.0.1', prefix: 24 })])
  for (const type of [18, 22, 26, 30, 34]) {
    const write = (w: MessageWriter) => w.zero(type === 22 ? 8 : type === 18 ? 16 : 12)
    await exchange.request({ type, flags: NLM_F.DUMP, detail: 'record', write }, () => undefined)
  }
  return datagrams
}

test('what the kernel really sends, changed', { skip: needsRoot }, async (t) => {
  const corpus = await recorded(t)
  assert(corpus.length > 20)
  const outcomes = await fuzzNft(corpus, 4, rounds / 8)
  assert((outcomes.get('value') ?? 0) > 0 && (outcomes.get('EBADMSG') ?? 0) > 0, [...outcomes].join(' '))
  const random = seeded(5)
  for (let round = 0; round < rounds / 4; round++) {
    const datagram = hostile(corpus, random)
    for (const [name, decode] of Object.entries(decoders))
      assert.deepEqual(outcome(decode, inside(datagram)), outcome(decode, datagram), name)
  }
})
