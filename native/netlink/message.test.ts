import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSysError } from '../sys-error.ts'
import { AttributeReader, headerSize, MessageReader, MessageWriter, NLM_F } from './message.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

test('a message with attributes has the bytes of linux/netlink.h', () => {
  const w = new MessageWriter(16)
  w.begin(0x10, NLM_F.REQUEST | NLM_F.ACK, 7)
  w.u8(0)
  w.zero(3)
  w.attrString(3, 'eth0')
  const place = w.nest(18)
  w.attrU32be(1, 0x0a000001)
  w.attrU16(2, 0x1234)
  w.unnest(place)
  w.end()
  const golden = `
    34000000 1000 0500 07000000 00000000  # nlmsghdr
    00000000                              # the protocol's header
    0900 0300 65746830 00 000000          # padded to 4
    1400 1280                             # nested
    0800 0100 0a000001
    0600 0200 3412 0000`
  assert.equal(hex(w.bytes()), golden.replaceAll(/#.*|\s/g, ''))
})

test('what is written is read back, message by message', () => {
  const w = new MessageWriter(8)
  w.begin(1, 0, 1)
  w.u8(5)
  w.end()
  w.begin(2, 0, 2)
  w.attrU64(1, 0x1122334455667788n)
  w.attrU64be(2, 5n)
  w.attrBytes(3, new Uint8Array([1, 2, 3, 4, 5]))
  w.attrFlag(4)
  w.attrU8(5, 9)
  w.attrString(6, 'ünïx')
  w.attrU16be(7, 8472)
  w.end()
  const r = new MessageReader(w.bytes())
  assert(r.next())
  assert.deepEqual([r.type, r.sequence, [...r.payload]], [1, 1, [5]])
  assert(r.next())
  const a = r.attributes(0)
  const seen: unknown[] = []
  while (a.next())
    seen.push([
      a.type,
      a.type === 1 ? a.u64() : a.type === 2 ? a.u64be() : a.type === 6 ? a.string() : a.type === 7 ? a.u16be() : [...a.bytes()],
    ])
  assert.deepEqual(seen, [
    [1, 0x1122334455667788n],
    [2, 5n],
    [3, [1, 2, 3, 4, 5]],
    [4, []],
    [5, [9]],
    [6, 'ünïx'],
    [7, 8472],
  ])
  assert.equal(r.next(), false)
})

test('memory that is used again leaves nothing of before in the padding', () => {
  const w = new MessageWriter(64)
  w.raw(new Uint8Array(64).fill(0xff))
  w.reset()
  w.begin(1, 0, 0)
  w.attrU8(1, 1)
  w.end()
  assert.equal(hex(w.bytes().subarray(headerSize)), '0500010001000000')
})

test('an attribute that cannot be expressed is refused', () => {
  const w = new MessageWriter()
  assert.throws(() => w.attrBytes(1, new Uint8Array(0x10000)), RangeError)
  const place = w.nest(1)
  for (let i = 0; i < 2; i++) w.attrBytes(1, new Uint8Array(0x8000))
  assert.throws(() => w.unnest(place), RangeError)
  w.truncate(place)
  assert.equal(w.length, place)
})

test('the reader never reads outside what it was given, whatever the lengths say', () => {
  // A mutated message inside a larger buffer full of 0xee: nothing of that may ever be seen.
  const w = new MessageWriter()
  w.begin(16, 0, 1)
  w.zero(16)
  w.attrString(3, 'eth0')
  const place = w.nest(18)
  w.attrU32(1, 1)
  w.attrU64(2, 2n)
  w.unnest(place)
  w.end()
  const good = w.bytes().slice()
  let seed = 1
  const random = (below: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
    return seed % below
  }
  let refused = 0
  for (let round = 0; round < 20_000; round++) {
    const outer = new Uint8Array(good.length + 64).fill(0xee)
    const inner = outer.subarray(32, 32 + random(good.length + 1))
    inner.set(good.subarray(0, inner.length))
    for (let i = random(4); i > 0 && inner.length > 0; i--) inner[random(inner.length)] = random(256)
    const clean = inner.includes(0xee)
    try {
      const reader = new MessageReader(inner)
      while (reader.next()) {
        const walk = (attributes: AttributeReader, depth: number) => {
          while (attributes.next()) {
            assert(clean || !attributes.bytes().includes(0xee))
            attributes.string()
            if (attributes.type === 1) attributes.u32()
            if (attributes.type === 2) attributes.u64()
            if (depth < 4 && attributes.type === 18) walk(attributes.nested(), depth + 1)
          }
        }
        walk(reader.attributes(16), 0)
      }
    } catch (error) {
      assert(isSysError(error, 'EBADMSG'), String(error))
      refused++
    }
  }
  assert(refused > 1000)
  assert.throws(
    () => new AttributeReader(new Uint8Array(8)).u32(),
    (error) => isSysError(error, 'EBADMSG'),
  )
})
