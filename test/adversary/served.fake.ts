// A whole server in a process of its own, which tells how long its event loop was held: in processor time of its
// thread, which a busy machine does not change. Started by `served`.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { type ClientHttp2Session, connect } from 'node:http2'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { live } from '#control/server/testing/live.fake.ts'
import type { Json } from '#control/server/testing/trial.fake.ts'

type Hello = { port: number; ca: string; cert: string; key: string }
/** `held`: the longest turn since it was last asked, in milliseconds; `reference`: what always takes the same, now. `heap`: bytes after a collection. `stray`: what every object has, and should not. */
type Told = { held: number; reference: number; heap: number; stray: string[] }
type Ask = { type?: string; headers?: Record<string, string | string[]>; on?: ClientHttp2Session }

export type Served = AsyncDisposable & {
  hello: Hello
  connect(): ClientHttp2Session
  ask(method: string, path: string, body?: unknown, ask?: Ask): Promise<{ code: number; text: string; body: Json }>
  tell(): Promise<Told>
}

export async function served(): Promise<Served> {
  const child = fork(fileURLToPath(import.meta.url), ['serve'])
  const [hello] = (await once(child, 'message')) as [Hello]
  const open = () => {
    const session = connect(`https://127.0.0.1:${hello.port}`, { ca: hello.ca, cert: hello.cert, key: hello.key })
    session.on('error', () => {})
    return session
  }
  const main = open()
  return {
    hello,
    connect: open,
    async ask(method, path, body, { type = 'application/json', headers = {}, on = main } = {}) {
      const sent = body === undefined || typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body)
      const stream = on.request(
        { ':method': method, ':path': path, ...(sent && { 'content-type': type }), ...headers },
        { endStream: !sent },
      )
      if (sent) stream.end(sent)
      const [answer] = await once(stream, 'response')
      const said = await text(stream)
      const isJson = answer['content-type']?.startsWith('application/json') && said !== ''
      return { code: answer[':status'], text: said, body: isJson ? JSON.parse(said) : {} }
    },
    async tell() {
      child.send('tell')
      const [told] = await once(child, 'message')
      return told as Told
    },
    async [Symbol.asyncDispose]() {
      main.destroy()
      child.send('end')
      await once(child, 'exit')
    },
  }
}

/** Of some tries the one in the middle, in milliseconds of processor time. A busy machine makes it longer, as it does everything. */
function reference(): number {
  const object = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`k${i}`, '']))
  const tries = Array.from({ length: 5 }, () => {
    const before = process.threadCpuUsage()
    for (let time = 0; time < 3; time += 1) JSON.parse(JSON.stringify(object))
    const { user, system } = process.threadCpuUsage(before)
    return (user + system) / 1000
  })
  return tries.sort((a, b) => a - b)[2] ?? 0
}

async function serve(): Promise<void> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const server = await live()
  let held = 0
  let used = process.threadCpuUsage()
  const look = () => {
    const { user, system } = process.threadCpuUsage(used)
    held = Math.max(held, (user + system) / 1000)
    used = process.threadCpuUsage()
  }
  const timer = setInterval(look, 2)
  process.on('message', (asked) => {
    if (asked === 'tell') {
      look()
      const longest = held
      collect()
      const stray: string[] = []
      for (const name in {}) stray.push(name)
      process.send?.({ held: longest, reference: reference(), heap: process.memoryUsage().heapUsed, stray })
      used = process.threadCpuUsage()
      held = 0
      return
    }
    clearInterval(timer)
    void Promise.resolve(server[Symbol.asyncDispose]()).finally(() => process.disconnect())
  })
  const { admin, authority } = server.pki
  process.send?.({ port: server.server.port, ca: authority.cert, ...admin })
}

if (process.argv[2] === 'serve' && process.send) await serve()
