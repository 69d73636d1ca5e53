// Port-forward, seen from the pod: for every connection that a client's user makes, a stream of its bytes
// and one for the reason why it failed. SPDY streams carry them, alone or inside a WebSocket (kubectl
// since 1.31); older WebSocket clients have two channels a port instead.

import type { IncomingMessage } from 'node:http'
import { type Duplex, finished } from 'node:stream'
import { StatusError } from '../errors.ts'
import { Channels } from './channel/channels.ts'
import { channelProtocols, plainChannels } from './channel/protocol.ts'
import { SpdyConnection } from './spdy/connection.ts'
import type { SpdyStream } from './spdy/stream.ts'
import { acceptSpdy, acceptWebSocket, chooseProtocol, upgradeOf } from './upgrade.ts'

/** Connects to a port of the pod; rejects with the reason that the client is told. */
export type Dial = (port: number, signal: AbortSignal) => Promise<Duplex>

const tunnel = 'SPDY/3.1+portforward.k8s.io'
const plain = 'portforward.k8s.io'

/** Upgrades the connection and serves until the client leaves. Throws StatusError while it can still be answered in HTTP. */
export async function servePortForward(
  { req, socket, head }: { req: IncomingMessage; socket: Duplex; head: Buffer },
  query: URLSearchParams,
  dial: Dial,
): Promise<void> {
  const kind = upgradeOf(req)
  if (kind === 'spdy') {
    const protocol = chooseProtocol(req, 'spdy', [plain])
    return overSpdy(acceptSpdy(socket, head, protocol), dial)
  }
  if (kind !== 'websocket') throw new StatusError('BadRequest', 'unable to upgrade: missing upgrade headers in request')
  const names = channelProtocols.map((protocol) => protocol.name)
  const protocol = chooseProtocol(req, 'websocket', [tunnel, ...names])
  if (protocol === tunnel) {
    const { createWebSocketStream } = await import('ws')
    return overSpdy(createWebSocketStream(await acceptWebSocket(req, socket, head, tunnel)), dial)
  }
  const ports = portsOf(query)
  const channels = new Channels(
    await acceptWebSocket(req, socket, head, protocol),
    channelProtocols.find((known) => known.name === protocol) ?? plainChannels,
  )
  return overChannels(channels, ports, dial)
}

/** From `ports=1&ports=2` or `port=1,2`. Throws BadRequest. */
function portsOf(query: URLSearchParams): number[] {
  const ports = [...query.getAll('ports'), ...query.getAll('port')].flatMap((value) => value.split(',')).map(portNumber)
  if (ports.length === 0) throw new StatusError('BadRequest', 'query parameter "port" is required')
  if (ports.includes(undefined)) throw new StatusError('BadRequest', 'query parameter "port" must be a port number')
  return ports as number[]
}

function portNumber(text: string | undefined): number | undefined {
  const port = /^\d{1,5}$/.test(text ?? '') ? Number(text) : 0
  return port >= 1 && port <= 65_535 ? port : undefined
}

async function overSpdy(transport: Duplex, dial: Dial): Promise<void> {
  const gone = new AbortController()
  /** Error streams, by the id of their request, that wait for their data stream. */
  const errors = new Map<string, SpdyStream>()
  const connection = new SpdyConnection({
    transport,
    side: 'server',
    onStream(stream) {
      const { streamtype, port, requestid = '' } = stream.headers
      const number = portNumber(port)
      if (!number) throw new Error('a stream without a port')
      if (streamtype === 'error') {
        errors.set(requestid, stream)
        stream.once('close', () => errors.delete(requestid))
        // Clients end their half at once.
        stream.resume()
        return
      }
      const error = errors.get(requestid)
      if (streamtype !== 'data' || !error) throw new Error('a data stream without its error stream')
      errors.delete(requestid)
      void forward(number, stream, error, dial, gone.signal)
    },
  })
  await connection.closed
  gone.abort()
}

async function overChannels(channels: Channels, ports: number[], dial: Dial): Promise<void> {
  const gone = new AbortController()
  for (const [index, port] of ports.entries()) {
    const [data, error] = [channels.open(index * 2), channels.open(index * 2 + 1)]
    // Each channel begins with its port, little-endian.
    const prefix = Buffer.alloc(2)
    prefix.writeUInt16LE(port)
    data.write(prefix)
    error.write(prefix)
    error.resume()
    void forward(port, data, error, dial, gone.signal)
  }
  await channels.closed
  gone.abort()
}

async function forward(port: number, data: Duplex, error: Duplex, dial: Dial, signal: AbortSignal): Promise<void> {
  try {
    await join(data, await dial(port, signal))
  } catch (cause) {
    if (!signal.aborted) error.write(`error forwarding port ${port} to pod: ${cause instanceof Error ? cause.message : String(cause)}`)
    data.resume().end()
  }
  error.end()
}

/** Both directions until both ends have ended; a side that breaks takes the other with it. */
function join(a: Duplex, b: Duplex): Promise<void> {
  return new Promise((resolve) => {
    a.pipe(b).pipe(a)
    let open = 2
    for (const [side, other] of [
      [a, b],
      [b, a],
    ] as const) {
      finished(side, (error) => {
        if (error) other.destroy()
        if (--open === 0) resolve()
      })
    }
  })
}
