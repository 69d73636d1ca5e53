import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addAddress, parseAddress } from '../rtnetlink/address.ts'
import { openRtnetlink } from '../rtnetlink/rtnetlink.ts'
import { freshNetns, needsRoot } from '../testing/fresh-netns.ts'
import { MessageReader, MessageWriter, NLM_F, NLMSG } from './message.ts'
import { openNetlink } from './socket.ts'

const RTM_GETLINK = 18
const RTNLGRP_IPV4_IFADDR = 5

test('a dump arrives message by message and the socket closes', async () => {
  const socket = await openNetlink('route')
  const w = new MessageWriter()
  w.begin(RTM_GETLINK, NLM_F.REQUEST | NLM_F.DUMP, 42)
  w.zero(16)
  w.end()
  socket.send(w.bytes())
  let links = 0
  let done = false
  for await (const datagram of socket.messages()) {
    const r = new MessageReader(datagram)
    while (r.next()) {
      assert.equal(r.sequence, 42)
      if (r.type === NLMSG.DONE) done = true
      else links++
    }
    if (done) break
  }
  assert(links >= 1)
  const waiting = socket.messages()[Symbol.asyncIterator]().next()
  socket.close()
  assert.deepEqual(await waiting, { value: undefined, done: true })
  socket.close()
})

test('a namespace that is not there is ENOENT with its path', async () => {
  await assert.rejects(openNetlink('route', { netns: '/nonexistent/netns' }), {
    code: 'ENOENT',
    syscall: 'open',
    detail: '/nonexistent/netns',
  })
})

test('a reader that is too slow is told so, and goes on with what comes after', { skip: needsRoot }, async (t) => {
  const netns = await freshNetns(t)
  const slow = await openNetlink('route', { netns, receiveBufferBytes: 4096 })
  slow.join(RTNLGRP_IPV4_IFADDR)
  await using rt = await openRtnetlink({ netns })
  const link = (await rt.link('lo'))!.index
  const add = (from: number, count: number) =>
    rt.run(
      Array.from({ length: count }, (_, i) => addAddress({ link, address: `10.0.${(from + i) >> 8}.${(from + i) & 255}`, prefix: 32 })),
    )
  await add(0, 200)
  const datagrams = slow.messages()[Symbol.asyncIterator]()
  await assert.rejects(
    async () => {
      for (let i = 0; i < 200; i++) await datagrams.next()
    },
    { name: 'SysError', code: 'ENOBUFS' },
  )
  // Whoever now reads all addresses anew learns of every later change.
  const reading = datagrams.next()
  await add(1000, 1)
  const reader = new MessageReader((await reading).value as Uint8Array)
  assert(reader.next())
  assert.equal(parseAddress(reader)?.address, '10.0.3.232')
  slow.close()
})
