// exec and attach, seen from the process: its streams, terminal sizes, and how it ended, whichever of
// WebSocket channels and SPDY streams carries them.

import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Duplex, Readable, Writable } from 'node:stream'
import { StatusError } from '../errors.ts'
import { Channels } from './channel/channels.ts'
import { channelProtocols, plainChannels } from './channel/protocol.ts'
import { readSizes, type Size } from './size.ts'
import { SpdyConnection } from './spdy/connection.ts'
import { acceptSpdy, acceptWebSocket, chooseProtocol, upgradeOf } from './upgrade.ts'

export type CommandRequest = { command: string[]; stdin: boolean; stdout: boolean; stderr: boolean; tty: boolean }

export type CommandStreams = {
  stdin?: Readable
  stdout?: Writable
  stderr?: Writable
  resize?: AsyncIterable<Size>
  /** Aborts when the client is gone. */
  signal: AbortSignal
}

type Session = CommandStreams & {
  error: Writable
  /** Whether `error` takes a Status, or only the text of a failure. */
  status: boolean
  close: () => void
}

const spdyProtocols = ['v4.channel.k8s.io', 'v3.channel.k8s.io', 'v2.channel.k8s.io', 'channel.k8s.io']
const streamsDeadlineMs = 30_000

/** From the query, by the API server's names or the kubelet's. Throws BadRequest. */
export function commandRequest(query: URLSearchParams): CommandRequest {
  const flag = (...names: string[]) => names.some((name) => ['true', '1'].includes(query.get(name) ?? ''))
  const tty = flag('tty')
  const request = {
    command: query.getAll('command'),
    stdin: flag('stdin', 'input'),
    stdout: flag('stdout', 'output'),
    // A terminal has one output.
    stderr: flag('stderr', 'error') && !tty,
    tty,
  }
  if (!request.stdin && !request.stdout && !request.stderr) {
    throw new StatusError('BadRequest', 'you must specify at least 1 of stdin, stdout, stderr')
  }
  return request
}

/**
 * Upgrades the connection, runs, tells the client how it ended (a number is an exit code) and closes.
 * Throws StatusError while it can still be answered in HTTP.
 */
export async function serveCommand(
  { req, socket, head }: { req: IncomingMessage; socket: Duplex; head: Buffer },
  request: CommandRequest,
  run: (streams: CommandStreams) => Promise<number | void>,
): Promise<void> {
  const kind = upgradeOf(req)
  if (!kind) throw new StatusError('BadRequest', 'unable to upgrade: missing upgrade headers in request')
  const session = kind === 'websocket' ? await overChannels(req, socket, head, request) : await overSpdy(req, socket, head, request)
  const { error, status, close: _close, ...streams } = session
  let outcome: object
  try {
    outcome = exitStatus((await run(streams)) ?? 0)
  } catch (cause) {
    outcome = failureStatus(cause)
  }
  // The status comes last: clients stop reading when they have it.
  await Promise.all([streams.stdout, streams.stderr].filter((stream) => stream !== undefined).map((stream) => finish(stream)))
  const message = 'message' in outcome ? String(outcome.message) : ''
  await finish(error, status ? JSON.stringify(outcome) : message)
  session.close()
}

async function overChannels(req: IncomingMessage, socket: Duplex, head: Buffer, request: CommandRequest): Promise<Session> {
  const name = chooseProtocol(
    req,
    'websocket',
    channelProtocols.map((protocol) => protocol.name),
  )
  const protocol = channelProtocols.find((protocol) => protocol.name === name) ?? plainChannels
  const channels = new Channels(await acceptWebSocket(req, socket, head, protocol.name), protocol)
  const gone = new AbortController()
  void channels.closed.then(() => gone.abort())
  const [stdin, stdout, stderr, error, resize] = [0, 1, 2, 3, 4].map((number) => channels.open(number)) as [
    Duplex,
    Duplex,
    Duplex,
    Duplex,
    Duplex,
  ]
  // An empty first message tells old clients that the connection stands; kubectl's v5 is not ready for one so early.
  if (!protocol.halfClose) (request.stdout ? stdout : request.stderr ? stderr : error).write(Buffer.alloc(0))
  return {
    ...(request.stdin && { stdin }),
    ...(request.stdout && { stdout }),
    ...(request.stderr && { stderr }),
    ...(request.tty && { resize: readSizes(resize) }),
    error,
    status: protocol.status,
    signal: gone.signal,
    close: () => channels.close(),
  }
}

async function overSpdy(req: IncomingMessage, socket: Duplex, head: Buffer, request: CommandRequest): Promise<Session> {
  const name = chooseProtocol(req, 'spdy', spdyProtocols)
  const version = Number(/^v(\d)/.exec(name)?.[1] ?? 1)
  const wanted = new Set(['error'])
  for (const type of ['stdin', 'stdout', 'stderr'] as const) if (request[type]) wanted.add(type)
  if (request.tty && version >= 3) wanted.add('resize')
  const streams = new Map<string, Duplex>()
  const { promise: complete, resolve } = Promise.withResolvers<void>()
  const connection = new SpdyConnection({
    transport: acceptSpdy(socket, head, name),
    side: 'server',
    onStream(stream) {
      const type = stream.headers.streamtype ?? ''
      if (!wanted.has(type) || streams.has(type)) throw new Error(`unexpected stream ${type}`)
      streams.set(type, stream)
      if (streams.size === wanted.size) resolve()
    },
  })
  const gone = new AbortController()
  void connection.closed.then(() => gone.abort())
  const deadline = setTimeout(() => connection.close(), streamsDeadlineMs)
  await Promise.race([complete, connection.closed])
  clearTimeout(deadline)
  if (streams.size < wanted.size) {
    connection.close()
    throw new StatusError('Timeout', 'timed out waiting for the client to create its streams')
  }
  // The client ends its half at once.
  streams.get('error')!.resume()
  const resize = streams.get('resize')
  return {
    stdin: streams.get('stdin'),
    stdout: streams.get('stdout'),
    stderr: streams.get('stderr'),
    ...(resize && { resize: readSizes(resize) }),
    error: streams.get('error')!,
    status: version >= 4,
    signal: gone.signal,
    close: () => connection.close(),
  }
}

/** Ends the stream and waits until it is out, or cannot get out any more. */
async function finish(stream: Writable, last?: string): Promise<void> {
  if (stream.destroyed || stream.writableFinished) return
  stream.end(last)
  await Promise.race([once(stream, 'finish'), once(stream, 'close')]).catch(() => {})
}

function exitStatus(code: number): object {
  if (code === 0) return { metadata: {}, status: 'Success' }
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: exit status ${code}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
  }
}

function failureStatus(cause: unknown): object {
  if (cause instanceof StatusError) return cause.toStatus()
  const message = `error executing command in container: ${cause instanceof Error ? cause.message : String(cause)}`
  return { metadata: {}, status: 'Failure', message, reason: 'InternalError', code: 500 }
}
