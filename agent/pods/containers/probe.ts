// One check of a container, as probes and lifecycle hooks ask for it: a command in it, a GET, a
// connection, a gRPC health question. Never throws: what goes wrong is an answer.

import { connect as connectHttp2 } from 'node:http2'
import { request as requestHttps } from 'node:https'
import { connect } from 'node:net'
import { Writable } from 'node:stream'
import type { Container, HTTPGetAction, LifecycleHandler, Probe } from '#api/types/core-v1.gen.ts'
import { httpRequest } from '../../http.ts'
import type { Runtime } from '../../runtime/runtime.ts'

export type Check = { ok: boolean; output: string }

export type Target = {
  container: Container
  /** The running container's id, and the pod's address. */
  id: string
  ip: string
  runtime: Pick<Runtime, 'exec'>
  signal: AbortSignal
}

/** Most that is kept of what a check answers (kubernetes pkg/probe). */
const OUTPUT_MAX = 10_240
const REDIRECTS_MAX = 10

export async function check(handler: Probe | LifecycleHandler, target: Target): Promise<Check> {
  try {
    if (handler.exec) return await execute(handler.exec.command ?? [], target)
    if (handler.httpGet) return await get(handler.httpGet, target)
    if (handler.tcpSocket) return await dial(handler.tcpSocket.host || target.ip, portOf(handler.tcpSocket.port, target), target.signal)
    if ('grpc' in handler && handler.grpc) return await askGrpc(target.ip, handler.grpc.port, handler.grpc.service ?? '', target.signal)
    return { ok: true, output: '' }
  } catch (error) {
    if (target.signal.aborted) return { ok: false, output: 'timed out' }
    return { ok: false, output: error instanceof Error ? error.message : String(error) }
  }
}

function portOf(port: number | string, { container }: Target): number {
  const number = typeof port === 'number' ? port : (container.ports?.find(({ name }) => name === port)?.containerPort ?? Number(port))
  if (Number.isInteger(number) && number > 0 && number < 65_536) return number
  throw new Error(`invalid port: ${port}`)
}

async function execute(args: string[], { id, runtime, signal }: Target): Promise<Check> {
  const chunks: Buffer[] = []
  let size = 0
  const sink = () =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        if (size < OUTPUT_MAX) chunks.push(chunk)
        size += chunk.length
        done()
      },
    })
  const code = await runtime.exec(id, { args, tty: false, stdout: sink(), stderr: sink(), signal })
  signal.throwIfAborted()
  return { ok: code === 0, output: Buffer.concat(chunks).toString('utf8', 0, OUTPUT_MAX) }
}

async function get(action: HTTPGetAction, target: Target): Promise<Check> {
  const scheme = (action.scheme ?? 'HTTP').toLowerCase()
  const host = action.host || target.ip
  const path = action.path ?? '/'
  const origin = `${scheme}://${host.includes(':') ? `[${host}]` : host}:${portOf(action.port, target)}`
  let url = new URL(path.startsWith('/') ? origin + path : `${origin}/${path}`)
  const headers: Record<string, string> = { 'user-agent': 'kube-probe/1.33', accept: '*/*', connection: 'close' }
  for (const { name, value } of action.httpHeaders ?? []) headers[name.toLowerCase()] = value
  for (let redirects = 0; ; redirects++) {
    const { status, location, body } = await answer(url, headers, target.signal)
    if (status >= 200 && status < 300) return { ok: true, output: body }
    if (status < 300 || status >= 400) return { ok: false, output: `HTTP probe failed with statuscode: ${status}` }
    const next = location === undefined ? undefined : new URL(location, url)
    // Another host's answer says nothing of this container.
    if (!next || next.hostname !== url.hostname) return { ok: true, output: body }
    if (redirects === REDIRECTS_MAX) return { ok: false, output: `stopped after ${REDIRECTS_MAX} redirects` }
    url = next
  }
}

function answer(
  url: URL,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<{ status: number; location: string | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const options = { headers, signal, agent: false, rejectUnauthorized: false }
    const request = (url.protocol === 'https:' ? requestHttps : httpRequest)(url, options, (response) => {
      const chunks: Buffer[] = []
      let size = 0
      const done = () => {
        const body = Buffer.concat(chunks).toString('utf8', 0, OUTPUT_MAX)
        resolve({ status: response.statusCode ?? 0, location: response.headers.location, body })
        request.destroy()
      }
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        size += chunk.length
        if (size >= OUTPUT_MAX) done()
      })
      response.on('end', done)
      response.on('error', reject)
    })
    request.on('error', reject)
    request.end()
  })
}

function dial(host: string, port: number, signal: AbortSignal): Promise<Check> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const done = (check: Check) => {
      signal.removeEventListener('abort', abort)
      socket.destroy()
      resolve(check)
    }
    const abort = () => done({ ok: false, output: `dial tcp ${host}:${port}: i/o timeout` })
    signal.addEventListener('abort', abort, { once: true })
    socket.on('connect', () => done({ ok: true, output: '' }))
    socket.on('error', (error) => done({ ok: false, output: error.message }))
  })
}

/** grpc.health.v1.Health/Check, whose messages are one field each: HealthCheckRequest.service = 1, HealthCheckResponse.status = 1. */
function askGrpc(host: string, port: number, service: string, signal: AbortSignal): Promise<Check> {
  return new Promise((resolve) => {
    const session = connectHttp2(`http://${host.includes(':') ? `[${host}]` : host}:${port}`)
    const done = (check: Check) => {
      signal.removeEventListener('abort', abort)
      session.destroy()
      resolve(check)
    }
    const fail = (error: Error) => done({ ok: false, output: error.message })
    const abort = () => done({ ok: false, output: `timeout: failed to connect service ${host}:${port}` })
    signal.addEventListener('abort', abort, { once: true })
    session.on('error', fail)
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    const name = Buffer.from(service)
    const message = Buffer.concat([Buffer.from(service ? [0x0a, name.length] : []), name])
    const frame = Buffer.alloc(5)
    frame.writeUInt32BE(message.length, 1)
    const chunks: Buffer[] = []
    let code = ''
    stream.on('trailers', (trailers) => (code = String(trailers['grpc-status'] ?? '')))
    stream.on('response', (headers) => (code ||= String(headers['grpc-status'] ?? '')))
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('error', fail)
    stream.on('end', () => {
      const body = Buffer.concat(chunks)
      const status = body[5] === 0x08 ? body[6] : 0
      if (code !== '' && code !== '0') done({ ok: false, output: `error: rpc status ${code}` })
      else if (status === SERVING) done({ ok: true, output: 'service healthy' })
      else done({ ok: false, output: `service unhealthy (responded with ${status})` })
    })
    stream.end(Buffer.concat([frame, message]))
  })
}

const SERVING = 1
