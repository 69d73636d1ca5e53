// A process in a network namespace for benchmarks: it takes in what is sent, echoes, or sends, as told
// over its IPC channel.

import { connect, createServer, type Socket } from 'node:net'

export type StreamRequest =
  | { do: 'listen' }
  /** Sends for so long as fast as it goes; the answer is bytes a second, of what had arrived. */
  | { do: 'send'; host: string; ms: number }
  /** One byte there and back, over and over; the answer is how often a second. */
  | { do: 'echo'; host: string; ms: number }

const SINK = 9001
const ECHO = 9002
const chunk = Buffer.alloc(256 * 1024)

const opened = (socket: Socket): Promise<void> =>
  new Promise((resolve, reject) => {
    socket.once('connect', resolve).once('error', reject)
  })

async function listen(): Promise<number> {
  const sink = createServer({ allowHalfOpen: true }, (socket) => {
    let bytes = 0
    socket.on('data', (data) => (bytes += data.length)).on('end', () => socket.end(String(bytes)))
  })
  const echo = createServer({ noDelay: true }, (socket) => socket.on('data', (data) => socket.write(data)))
  await Promise.all([
    new Promise<void>((resolve) => sink.listen(SINK, resolve)),
    new Promise<void>((resolve) => echo.listen(ECHO, resolve)),
  ])
  return 0
}

async function send(host: string, ms: number): Promise<number> {
  const socket = connect({ host, port: SINK, allowHalfOpen: true })
  await opened(socket)
  const started = performance.now()
  const push = () => {
    while (performance.now() - started < ms) if (!socket.write(chunk)) return
    socket.end()
  }
  socket.on('drain', push)
  push()
  const [bytes] = await new Promise<Buffer[]>((resolve, reject) => {
    socket.once('data', (data) => resolve([data])).once('error', reject)
  })
  return (Number(bytes) * 1000) / (performance.now() - started)
}

async function echo(host: string, ms: number): Promise<number> {
  const socket = connect({ host, port: ECHO, noDelay: true })
  await opened(socket)
  const started = performance.now()
  let rounds = 0
  await new Promise<void>((resolve) => {
    socket.on('data', () => {
      rounds++
      if (performance.now() - started < ms) socket.write('.')
      else resolve()
    })
    socket.write('.')
  })
  socket.destroy()
  return (rounds * 1000) / (performance.now() - started)
}

process.on('message', (request: StreamRequest) => {
  const answer =
    request.do === 'listen' ? listen() : request.do === 'send' ? send(request.host, request.ms) : echo(request.host, request.ms)
  answer.then(
    (value) => process.send?.({ value }),
    (error: unknown) => process.send?.({ error: String(error) }),
  )
})
process.on('disconnect', () => process.exit())
