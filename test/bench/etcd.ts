// etcd on the same disk, and its KV.Put over gRPC on one connection each: the yardstick of a durable write.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { eventually } from '../cluster/eventually.ts'
import { openSession, type Session } from './session.ts'

const program = resolve(import.meta.dirname, '../../.coracle/debian-etcd/usr/bin/etcd')
const ports = { client: 23_790, peer: 23_800 }

export type Etcd = { session(): Promise<Session>; [Symbol.asyncDispose](): Promise<void> }

/** Undefined where it is not there. */
export async function startEtcd(dir: string): Promise<Etcd | undefined> {
  if (!existsSync(program)) return undefined
  const [client, peer] = [`http://127.0.0.1:${ports.client}`, `http://127.0.0.1:${ports.peer}`]
  const child = spawn(
    program,
    [
      '--data-dir',
      join(dir, 'etcd'),
      '--listen-client-urls',
      client,
      '--advertise-client-urls',
      client,
      '--listen-peer-urls',
      peer,
      '--initial-advertise-peer-urls',
      peer,
      '--initial-cluster',
      `default=${peer}`,
    ],
    { stdio: 'ignore', env: { ...process.env, ETCD_UNSUPPORTED_ARCH: process.arch } },
  )
  const exited = once(child, 'exit')
  await eventually(async () => {
    const answer = await fetch(`${client}/health`)
    if (!(await answer.text()).includes('"true"')) throw new Error('etcd is not healthy')
  })
  return {
    session: () => openSession(client),
    async [Symbol.asyncDispose]() {
      child.kill()
      await exited
    },
  }
}

const headers = { 'content-type': 'application/grpc', te: 'trailers' }

/** etcdserverpb.KV/Put: field 1 is the key, field 2 the value. */
export async function put(session: Session, key: string, value: Buffer): Promise<void> {
  const message = Buffer.concat([field(1, Buffer.from(key)), field(2, value)])
  const frame = Buffer.alloc(5)
  frame.writeUInt32BE(message.length, 1)
  const answer = await session.request('POST', '/etcdserverpb.KV/Put', Buffer.concat([frame, message]), headers)
  if (answer.length < 5) throw new Error('etcd did not take the value')
}

const field = (number: number, bytes: Buffer): Buffer => {
  const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7]
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), bytes])
}
