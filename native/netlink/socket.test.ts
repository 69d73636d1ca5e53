import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MessageReader, MessageWriter, NLM_F, NLMSG } from './message.ts'
import { openNetlink } from './socket.ts'

const RTM_GETLINK = 18

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
