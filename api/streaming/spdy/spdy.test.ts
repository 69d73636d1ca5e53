import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { duplexPair } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { constants, createDeflate } from 'node:zlib'
import { SpdyConnection } from './connection.ts'
import { dictionary } from './dictionary.ts'
import {
  type Frame,
  FrameReader,
  ProtocolError,
  writeDataHeader,
  writeGoAway,
  writePing,
  writeReset,
  writeSynReply,
  writeSynStream,
  writeWindowUpdate,
} from './frame.ts'
import { HeaderReader, type Headers, HeaderWriter } from './headers.ts'
import type { SpdyStream } from './stream.ts'

const hex = (text: string) => Buffer.from(text.replace(/\s/g, ''), 'hex')
const readAll = (...chunks: Buffer[]): Frame[] => {
  const reader = new FrameReader()
  return chunks.flatMap((chunk) => [...reader.read(chunk)])
}

test('frames are these bytes', () => {
  const golden: [Buffer, string][] = [
    [writeSynStream(1, hex('aabb')), '8003 0001 00 00000c 00000001 00000000 00 00 aabb'],
    [writeSynReply(2, hex('cc')), '8003 0002 00 000005 00000002 cc'],
    [writeReset(3, 5), '8003 0003 00 000008 00000003 00000005'],
    [writePing(7), '8003 0006 00 000004 00000007'],
    [writeGoAway(9, 1), '8003 0007 00 000008 00000009 00000001'],
    [writeWindowUpdate(0, 65536), '8003 0009 00 000008 00000000 00010000'],
    [writeDataHeader(5, 3, true), '00000005 01 000003'],
  ]
  for (const [made, expected] of golden) assert.equal(made.toString('hex'), hex(expected).toString('hex'))
})

test('the dictionary is the one that deflate streams name by its checksum', async () => {
  const deflate = createDeflate({ dictionary })
  deflate.end('x')
  // RFC 1950: CMF, FLG, then DICTID.
  assert.equal((await buffer(deflate)).readUInt32BE(2), 0xe3c6a7c2)
})

const session = Buffer.concat([
  writeSynStream(1, Buffer.from('headers')),
  writeDataHeader(1, 5, false),
  Buffer.from('hello'),
  writePing(1),
  hex('8003 0004 00 000004 00000000'),
  hex('8003 00ff 00 000002 abcd'),
  writeDataHeader(1, 0, true),
  writeReset(1, 5),
])

test('frames are the same however they arrive', () => {
  const join = (frames: Frame[]) =>
    frames.reduce<Frame[]>((all, frame) => {
      const last = all.at(-1)
      if (frame.type === 'data' && last?.type === 'data' && !last.fin && last.id === frame.id) {
        all[all.length - 1] = { ...frame, bytes: Buffer.concat([last.bytes, frame.bytes]) }
      } else all.push(frame)
      return all
    }, [])
  const whole = join(readAll(session))
  assert.deepEqual(
    whole.map((frame) => frame.type),
    ['syn-stream', 'data', 'ping', 'settings', 'unknown', 'data', 'reset'],
  )
  assert.deepEqual(join(readAll(...Array.from(session, (byte) => Buffer.from([byte])))), whole)
  for (let cut = 1; cut < session.length; cut++) assert.deepEqual(join(readAll(session.subarray(0, cut), session.subarray(cut))), whole)
})

test('hostile frames are refused or ignored, and never read past their end', () => {
  for (const bad of [
    '8002 0001 00 00000a 00000001 00000000 0000',
    '8003 0001 00 000009 00000001 00000000 00',
    '8003 0003 00 000004 00000001',
    '8003 0006 00 000000',
    '8003 0001 00 ffffff',
    '00000000 00 000001 00',
  ]) {
    assert.throws(() => readAll(hex(bad)), ProtocolError, bad)
  }
  for (let round = 0; round < 3000; round++) {
    const noise = randomBytes(1 + (round % 64))
    // Half of them look like control frames of a small size.
    if (round % 2) noise.set(hex(`8003 00${(round % 11).toString(16).padStart(2, '0')} 00 0000`).subarray(0, Math.min(7, noise.length)))
    try {
      readAll(noise)
    } catch (error) {
      assert.ok(error instanceof ProtocolError, String(error))
    }
  }
})

test('headers: several blocks of one compressor, ours and a real one', async () => {
  const [writer, reader] = [new HeaderWriter(), new HeaderReader()]
  const blocks: Headers[] = [{ streamType: 'stdin' }, {}, { a: 'x'.repeat(5000), port: '80' }]
  for (const headers of blocks) {
    const expected = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
    assert.deepEqual({ ...(await reader.read(writer.write(headers))) }, expected)
  }
  reader.close()
  // Each ends in a sync flush, and the zlib header comes once.
  const golden = new HeaderWriter()
  assert.deepEqual(
    [golden.write({}).toString('hex'), golden.write({}).toString('hex')],
    ['7801000400fbff00000000000000ffff', '000400fbff00000000000000ffff'],
  )

  const deflate = createDeflate({ dictionary })
  const compressed = async (raw: Buffer) => {
    deflate.write(raw)
    const data: Buffer[] = []
    deflate.on('data', (chunk: Buffer) => data.push(chunk))
    await new Promise<void>((resolve) => deflate.flush(constants.Z_SYNC_FLUSH, resolve))
    deflate.removeAllListeners('data')
    return Buffer.concat(data)
  }
  const real = new HeaderReader()
  const block = hex('00000001 00000004 706f7274 00000004 38303830')
  assert.deepEqual({ ...(await real.read(await compressed(block))) }, { port: '8080' })
  const second = await compressed(block)
  assert.ok(second.length < block.length)
  assert.deepEqual({ ...(await real.read(second)) }, { port: '8080' })
  real.close()
})

test('hostile headers are refused', async () => {
  const stored = (raw: Buffer) =>
    Buffer.concat([hex('7801 00'), Buffer.from([raw.length & 255, raw.length >> 8, ~raw.length & 255, (~raw.length >> 8) & 255]), raw])
  const deflate = createDeflate()
  deflate.end(Buffer.alloc(10 << 20))
  const bomb = await buffer(deflate)
  for (const bad of [
    hex('ffff'),
    stored(hex('00')),
    stored(hex('ffffffff')),
    stored(hex('00000001 7fffffff 61')),
    stored(hex('00000001 00000001 61')),
    bomb,
  ]) {
    const reader = new HeaderReader()
    await assert.rejects(reader.read(bad), ProtocolError)
    reader.close()
  }
})

function pair(onStream: (stream: SpdyStream) => void, maxStreams?: number) {
  const [near, far] = duplexPair()
  return {
    client: new SpdyConnection({ transport: near, side: 'client' }),
    server: new SpdyConnection({ transport: far, side: 'server', onStream, maxStreams }),
  }
}

test('streams carry bytes both ways, end by halves, and do not mix', async () => {
  const { client, server } = pair((stream) => stream.pipe(stream))
  const big = randomBytes(1 << 20)
  const streams = [big, Buffer.from('small'), Buffer.alloc(0)].map((bytes) => {
    const stream = client.open({ streamType: 'echo' })
    stream.end(bytes)
    return buffer(stream)
  })
  const echoed = await Promise.all(streams)
  assert.ok(echoed[0]!.equals(big))
  assert.deepEqual(echoed.slice(1).map(String), ['small', ''])
  client.close()
  await Promise.all([client.closed, server.closed])
})

test('a stream that is given up ends at the other side; a vanished connection ends all', async () => {
  const seen = Promise.withResolvers<SpdyStream>()
  const [near, far] = duplexPair()
  const client = new SpdyConnection({ transport: near, side: 'client' })
  const server = new SpdyConnection({
    transport: far,
    side: 'server',
    onStream: (stream) => (stream.headers.streamtype === 'first' ? stream.pipe(stream) : seen.resolve(stream)),
  })
  const first = client.open({ streamType: 'first' })
  first.write('x')
  await once(first, 'data')
  first.destroy()
  client.open({ streamType: 'second' })
  const second = await seen.promise
  const ended = once(second, 'close')
  near.destroy()
  far.destroy()
  await ended
  await Promise.all([client.closed, server.closed])
})

test('a peer that breaks the protocol is told and cut off', async () => {
  for (const bad of [writeSynStream(2, new HeaderWriter().write({})), hex('8002 0001 00 000000'), writeSynStream(1, hex('ffff'))]) {
    const [near, far] = duplexPair()
    const server = new SpdyConnection({ transport: far, side: 'server', onStream: (stream) => stream.resume() })
    near.write(bad)
    const frames = readAll(await buffer(near))
    assert.deepEqual(frames.at(-1)?.type, 'go-away')
    await server.closed
  }
})

test('more streams than allowed are refused, pings are answered', async () => {
  const [near, far] = duplexPair()
  const server = new SpdyConnection({ transport: far, side: 'server', onStream: () => {}, maxStreams: 1 })
  const headers = new HeaderWriter()
  for (const id of [1, 3]) near.write(writeSynStream(id, headers.write({})))
  near.end(writePing(5))
  const frames = readAll(await buffer(near))
  assert.deepEqual(
    frames.filter((frame) => frame.type !== 'data').map((frame) => `${frame.type} ${'id' in frame ? frame.id : ''}`),
    ['syn-reply 1', 'reset 3', 'ping 5', 'reset 1'],
  )
  await server.closed
})

test('a reader that is slow slows the writer down', async () => {
  const { client, server } = pair(() => {})
  const stream = client.open({})
  let written = 0
  const chunk = Buffer.alloc(64 << 10)
  while (written < 64 << 20 && stream.write(chunk)) {
    written += chunk.length
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.ok(written < 8 << 20, `${written} bytes are buffered`)
  client.close()
  server.close()
})
