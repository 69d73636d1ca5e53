import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import { addon } from './addon.ts'
import { openDatagrams } from './index.ts'

const fail = (error: unknown) => assert.fail(String(error))

for (const [type, address] of [
  ['udp4', '127.0.0.1'],
  ['udp6', '::1'],
] as const)
  test(`hundreds of datagrams are answered, each to whom it came from: ${address}`, async (t) => {
    const server = await openDatagrams({
      address,
      port: 0,
      longest: 100,
      longestAnswer: 100,
      receiveBufferBytes: 1 << 20,
      onDatagram: (datagram, from) => server.send(datagram, from),
      onError: fail,
    })
    t.after(() => server.close())
    const answers: string[][] = []
    await Promise.all(
      [0, 1, 2].map(async (client) => {
        const socket = createSocket(type)
        t.after(() => socket.close())
        const own: string[] = []
        answers[client] = own
        const all = new Promise<void>((resolve) => socket.on('message', (message) => own.push(String(message)) === 100 && resolve()))
        for (let i = 0; i < 100; i++) socket.send(`${client} ${i}`, server.port, address)
        await all
      }),
    )
    for (const [client, own] of answers.entries())
      assert.deepEqual(own.sort(), Array.from({ length: 100 }, (_, i) => `${client} ${i}`).sort())
    server.close()
    server.close()
  })

test('what is too long is cut, and not sent; an answer may come later; closed, nothing does', async (t) => {
  const client = createSocket('udp4')
  t.after(() => client.close())
  client.bind(0, '127.0.0.1')
  await once(client, 'listening')
  const got: number[] = []
  const { promise: asked, resolve } = Promise.withResolvers<Uint8Array>()
  const server = await openDatagrams({
    address: '127.0.0.1',
    port: 0,
    longest: 10,
    longestAnswer: 20,
    onDatagram(datagram, from) {
      got.push(datagram.length)
      resolve(from.slice())
    },
    onError: fail,
  })
  t.after(() => server.close())
  client.send('longer than ten bytes', server.port, '127.0.0.1')
  const to = await asked
  assert.deepEqual(got, [10])
  server.send(new Uint8Array(21), to)
  server.send(new Uint8Array(20), to)
  const [answer] = (await once(client, 'message')) as [Buffer]
  assert.equal(answer.length, 20)
  server.close()
  server.send(new Uint8Array(20), to)
})

test('an address that cannot be had', async (t) => {
  const taken = createSocket('udp4')
  t.after(() => taken.close())
  taken.bind(0, '127.0.0.1')
  await once(taken, 'listening')
  const open = (address: string, port: number) =>
    openDatagrams({ address, port, longest: 10, longestAnswer: 10, onDatagram() {}, onError: fail })
  await assert.rejects(open('127.0.0.1', taken.address().port), { code: 'EADDRINUSE' })
  await assert.rejects(open('192.0.2.1', 0), { code: 'EADDRNOTAVAIL' })
  await assert.rejects(open('nowhere', 0), { code: 'EINVAL' })
})

test('slots that do not hold what they say are not looked into', async (t) => {
  const socket = await addon.openSocket(undefined, 2, 2, 0)
  t.after(() => addon.close(socket))
  const slots = new Uint8Array(128)
  new DataView(slots.buffer).setUint32(0, 33, true)
  for (const [size, count] of [
    [64, 1],
    [64, 3],
    [33, 1],
    [32, 1],
    [0, 1],
  ] as const)
    assert.throws(() => addon.sendMany(socket, slots, size, count), { code: 'EINVAL' }, `${size} ${count}`)
  for (const size of [0, 32, 62]) assert.throws(() => addon.receiveMany(socket, slots, size), { code: 'EINVAL' })
  assert.equal(addon.receiveMany(socket, slots, 256), 0)
})
