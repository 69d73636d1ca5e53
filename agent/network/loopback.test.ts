import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { silent } from '#api/log.ts'
import type { ContainerPort, Pod } from '#api/types/core-v1.gen.ts'
import { openLoopbackPorts } from './loopback.ts'

const podAt = (ip: string, port: Partial<ContainerPort>): Pod =>
  ({
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'c', ports: [port] }] },
    status: { phase: 'Running', podIPs: [{ ip }] },
  }) as unknown as Pod

/** Stands for a pod: says who asked, after it has heard all. */
async function answering(t: TestContext): Promise<number> {
  const server = createServer(
    { allowHalfOpen: true },
    (socket) =>
      void text(socket).then(
        (said) => socket.end(`heard ${said.length}`),
        () => socket.destroy(),
      ),
  )
  server.listen(0, '127.0.0.5')
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as AddressInfo).port
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function ask(host: string, port: number, words: string): Promise<string> {
  const socket = connect({ host, port, allowHalfOpen: true })
  socket.end(words)
  return text(socket)
}

test("a host port answers on the node's own loopback addresses for as long as its pod is there", async (t) => {
  const [containerPort, hostPort] = [await answering(t), await freePort()]
  const ports = openLoopbackPorts({ log: silent })
  t.after(() => ports.close())
  await ports.apply([podAt('127.0.0.5', { containerPort, hostPort })])
  const long = 'x'.repeat(3_000_000)
  assert.equal(await ask('127.0.0.1', hostPort, long), 'heard 3000000')
  // As another pod in its place.
  await ports.apply([podAt('127.0.0.6', { containerPort: 1, hostPort })])
  await assert.rejects(ask('127.0.0.1', hostPort, 'x').then((answer) => assert.equal(answer, 'heard 1')))
  await ports.apply([podAt('127.0.0.5', { containerPort, hostPort })])
  assert.equal(await ask('127.0.0.1', hostPort, 'x'), 'heard 1')
  await ports.apply([])
  await assert.rejects(ask('127.0.0.1', hostPort, 'x'), { code: 'ECONNREFUSED' })
})

test('one that is bound to an address answers there alone, and what is not for here is left', async (t) => {
  const [containerPort, hostPort] = [await answering(t), await freePort()]
  const ports = openLoopbackPorts({ log: silent })
  t.after(() => ports.close())
  await ports.apply([podAt('127.0.0.5', { containerPort, hostPort, hostIP: '127.0.0.9' })])
  assert.equal(await ask('127.0.0.9', hostPort, 'xy'), 'heard 2')
  await assert.rejects(ask('127.0.0.1', hostPort, 'x'), { code: 'ECONNREFUSED' })
  for (const other of [{ hostIP: '192.0.2.1' }, { protocol: 'UDP' as const }]) {
    await ports.apply([podAt('127.0.0.5', { containerPort, hostPort, ...other })])
    await assert.rejects(ask('127.0.0.1', hostPort, 'x'), { code: 'ECONNREFUSED' })
  }
})

test('a port of the node that is taken stays whose it is, and is tried again', async (t) => {
  const [containerPort, hostPort] = [await answering(t), await freePort()]
  const theirs = createServer((socket) => socket.end('theirs')).listen(hostPort, '127.0.0.1')
  await once(theirs, 'listening')
  const ports = openLoopbackPorts({ log: silent })
  t.after(() => ports.close())
  const pods = [podAt('127.0.0.5', { containerPort, hostPort })]
  await ports.apply(pods)
  assert.equal(await ask('127.0.0.1', hostPort, ''), 'theirs')
  theirs.close()
  await once(theirs, 'close')
  await ports.apply(pods)
  assert.equal(await ask('127.0.0.1', hostPort, 'abc'), 'heard 3')
})
