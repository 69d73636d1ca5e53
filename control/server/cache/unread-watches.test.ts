import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:http2'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { live } from '../testing/live.fake.ts'

test('a watch whose answer nobody reads ends with its request', async (t) => {
  const server = await live()
  t.after(() => server[Symbol.asyncDispose]())
  const watch = '/api/v1/configmaps?watch=true'
  const watchers = async () => {
    const { text } = await server.ask('GET', '/metrics')
    return Number(/^apiserver_longrunning_requests\{resource="configmaps"\} (\d+)$/m.exec(text)?.[1])
  }
  const before = await watchers()
  const gone = async () => {
    while ((await watchers()) !== before) await setImmediate()
  }
  for (let i = 0; i < 5; i += 1) assert.equal((await server.ask('HEAD', watch)).code, 200)
  await gone()
  const { authority, admin } = server.pki
  const session = connect(`https://127.0.0.1:${server.server.port}`, { ca: authority.cert, cert: admin.cert, key: admin.key })
  t.after(() => session.destroy())
  const asked = async (method: string) => {
    const stream = session.request({ ':method': method, ':path': watch })
    stream.on('error', () => {})
    await once(stream, 'response')
    return stream
  }
  for (let i = 0; i < 5; i += 1) await asked('HEAD')
  await gone()
  // Answered, never read, and then reset; and reset before there was an answer.
  for (let i = 0; i < 5; i += 1) (await asked('GET')).close(8)
  for (let i = 0; i < 5; i += 1) {
    const stream = session.request({ ':method': 'GET', ':path': watch })
    stream.on('error', () => {})
    stream.close(8)
  }
  await gone()
})
