// pods/NAME/log over a WebSocket, one way: each message is a piece of the log (apiserver pkg/util/httpstream/wsstream).

import type { IncomingMessage } from 'node:http'
import { type Duplex, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { acceptWebSocket, chooseProtocol } from '#api/streaming/upgrade.ts'
import type { Core } from '../objects/core.ts'
import type { AgentTls } from './agent.ts'
import { type LogRequest, openLog } from './log.ts'

/** Under the second, and there alone, messages are text with base64 in it. */
const protocols = ['binary.k8s.io', 'base64.binary.k8s.io']
const normal = 1000

type Deps = { core: Core; tls: AgentTls; signal: AbortSignal }

/** Until the log or the client ends. Throws StatusError while it can still be answered in HTTP. */
export async function serveLog(
  { core, tls, signal }: Deps,
  { request, socket, head }: { request: IncomingMessage; socket: Duplex; head: Buffer },
  asked: LogRequest,
): Promise<void> {
  const protocol = chooseProtocol(request, 'websocket', protocols)
  const gone = new AbortController()
  socket.once('close', () => gone.abort())
  const log = await openLog({ core, tls }, asked, AbortSignal.any([signal, gone.signal]))
  // An ended request ends with an error; the pipeline below is who hears of it, once it is there.
  log.on('error', () => {})
  const client = await acceptWebSocket(request, socket, head, protocol)
  const encoded = (bytes: Buffer) => (protocol === 'base64.binary.k8s.io' ? bytes.toString('base64') : bytes)
  const send = (bytes: Buffer, done: (error?: Error | null) => void) => client.send(encoded(bytes), done)
  client.on('error', () => client.terminate())
  // What a client has to say is read, so that its end is seen, and passed over.
  client.on('message', () => {})
  // An empty first message tells that the connection stands, before a log says anything.
  send(Buffer.alloc(0), () => {})
  try {
    await pipeline(log, new Writable({ write: (bytes: Buffer, _, done) => send(bytes, done) }))
  } catch {
    // Either side is gone: there is nobody to tell.
  }
  client.close(normal)
}
