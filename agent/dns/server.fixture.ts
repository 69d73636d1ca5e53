// A name server for tests, how to ask it, and an upstream of its own.

import { execFile } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { type Answer, type DecodedPacket, decode, encode, type Packet, streamEncode } from 'dns-packet'
import { systemClock } from '#api/clock.ts'
import { silent } from '#api/log.ts'
import type { Service, ServiceSpec } from '#api/types/core-v1.gen.ts'
import type { Endpoint, EndpointPort, EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import { type Dns, type DnsOptions, openDns } from './dns.ts'

const run = promisify(execFile)

export async function serverFor(t: TestContext, options: Partial<DnsOptions> = {}) {
  const dns = await openDns({
    addresses: ['127.0.0.1'],
    port: 0,
    domain: 'cluster.local',
    cidrs: ['10.42.0.0/16', '10.43.0.0/16'],
    upstream: [],
    clock: systemClock,
    random: Math.random,
    log: silent,
    ...options,
  })
  t.after(() => dns.close())
  dns.synced()
  /** As `dig +short` prints it, sorted. */
  const dig = async (...args: string[]) => {
    const { stdout } = await run('dig', ['@127.0.0.1', '-p', `${dns.port}`, '+short', '+time=2', '+tries=1', ...args])
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .sort()
  }
  const status = async (...args: string[]) => {
    const { stdout } = await run('dig', ['@127.0.0.1', '-p', `${dns.port}`, '+time=2', '+tries=1', ...args])
    return `${/status: (\w+)/.exec(stdout)?.[1]} ${/ANSWER: (\d+)/.exec(stdout)?.[1]} ${/\sSOA\s/.test(stdout) ? 'SOA' : ''}`.trim()
  }
  return { dns, dig, status, ask: (packet: Packet) => ask(dns.port, encode(packet)) }
}

export async function ask(port: number, message: Buffer): Promise<DecodedPacket & { size: number; rcode?: string }> {
  const socket = createSocket('udp4')
  socket.send(message, port, '127.0.0.1')
  const [answer] = (await once(socket, 'message', { signal: AbortSignal.timeout(3000) })) as [Buffer]
  socket.close()
  return { ...decode(answer), size: answer.length }
}

export function addService(dns: Dns, name: string, spec: Partial<ServiceSpec>, namespace = 'default') {
  const service = { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace }, spec, status: {} } as Service
  dns.serviceChanged({ namespace, name }, service)
}

export function addSlice(
  dns: Dns,
  service: string,
  name: string,
  endpoints: Partial<Endpoint>[],
  ports: EndpointPort[] = [],
  namespace = 'default',
) {
  const slice = {
    metadata: { name, namespace, labels: { 'kubernetes.io/service-name': service } },
    addressType: endpoints[0]?.addresses?.[0]?.includes(':') ? 'IPv6' : 'IPv4',
    endpoints,
    ports,
  } as unknown as EndpointSlice
  dns.sliceChanged({ namespace, name }, slice)
}

type Reply = (question: { name: string; type: string }, message: Buffer) => Packet | Buffer | undefined

/** An upstream name server by dns-packet, on UDP and TCP. */
export async function upstream(t: TestContext, reply: Reply, tcpReply = reply) {
  const asked: string[] = []
  const answer = (message: Buffer, reply: Reply) => {
    const query = decode(message)
    asked.push(`${query.questions![0]!.name} ${query.questions![0]!.type}`)
    const answer = reply(query.questions![0]!, message)
    if (!answer || Buffer.isBuffer(answer)) return answer
    return { type: 'response', id: query.id, questions: query.questions, ...answer } as Packet
  }
  const udp = createSocket('udp4')
  udp.bind(0, '127.0.0.1')
  await once(udp, 'listening')
  udp.on('message', (message, from) => {
    const found = answer(message, reply)
    if (found) udp.send(Buffer.isBuffer(found) ? found : encode(found), from.port, from.address)
  })
  const tcp = createServer((socket) => {
    socket.on('data', (data) => {
      const found = answer(data.subarray(2), tcpReply)
      if (found && !Buffer.isBuffer(found)) socket.end(streamEncode(found))
    })
  }).listen(udp.address().port, '127.0.0.1')
  await once(tcp, 'listening')
  t.after(() => {
    udp.close()
    tcp.close()
  })
  return { server: `127.0.0.1#${udp.address().port}`, asked }
}

export const a = (name: string, data: string, ttl = 60): Answer => ({ type: 'A', name, data, ttl })
export const opt = { type: 'OPT', name: '.', udpPayloadSize: 1232 } as Answer
