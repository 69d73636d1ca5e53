// Both transports of the Client against the whole server: in this process, and over TLS.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server as HttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import type { Ref } from '#api/client/client.ts'
import { clientConformance } from '#api/client/conformance.ts'
import { httpsClient } from '#api/client/https.ts'
import { systemClock } from '#api/clock.ts'
import { isStatus } from '#api/errors.ts'
import { Node, Pod, ServiceAccount } from '#api/kinds/index.ts'
import { keyOf } from '#api/kinds/kind.ts'
import { silent } from '#api/log.ts'
import { openPki, type Pki } from '#control/pki/pki.ts'
import { lateStore } from '../store/late.fake.ts'
import { memoryStore } from '../store/memory.ts'
import { type Server, startServer } from './server.ts'
import { dialHere, here } from './testing/dial.fake.ts'

let folder: string
let pki: Pki
let server: Server
let agent: HttpsServer
/** By `namespace/name` of the pod. */
const said = new Map<string, string>()
/** Ends the answer to who follows a log, as a node does that dies. */
let cut = () => {}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clients-'))
  pki = await openPki({ dir: folder, hosts: ['127.0.0.1'], now: Date.now })
  // Whatever the server asks its store, it may have to wait for.
  const store = lateStore(await memoryStore())
  server = await startServer({
    store,
    pki,
    listen: { host: '127.0.0.1', port: 0 },
    advertise: { address: '127.0.0.1' },
    dial: dialHere,
    clock: systemClock,
    log: silent,
  })
  const own = await pki.agents.authority.issue({ commonName: 'talker', usage: 'server', hosts: ['127.0.0.1'] })
  agent = createServer({ ...own, ca: pki.agents.authority.cert, requestCert: true }, ({ url = '' }, answer) => {
    const [, , namespace, name] = url.split(/[/?]/)
    const text = said.get(`${namespace}/${name}`) ?? ''
    answer.write(text)
    if (url.includes('follow=true')) cut = () => answer.destroy()
    else answer.end()
  })
  await once(agent.listen(0, '127.0.0.1'), 'listening')
  const { port } = agent.address() as AddressInfo
  const client = server.client()
  const node = await client.create(Node, { metadata: { name: 'talker' } })
  const addresses = [{ type: 'InternalIP' as const, address: here }]
  const status = { ...node.status, addresses, daemonEndpoints: { kubeletEndpoint: { Port: port } } }
  await client.update(Node, { ...node, status }, { subresource: 'status' })
})

after(async () => {
  await server.close()
  agent.close().closeAllConnections()
  await rm(folder, { recursive: true })
})

const overHttps = () => {
  const credentials = { ca: pki.authority.cert, cert: pki.admin.cert, key: pki.admin.key }
  return httpsClient({ server: `https://127.0.0.1:${server.port}`, credentials, userAgent: 'test/1', log: silent })
}

clientConformance('in-process', () => ({ client: server.client(), prepare, says }))

clientConformance('https', () => {
  const client = overHttps()
  return { client, prepare, says, close: () => client.close() }
})

for (const [name, open] of [
  ['in-process', () => ({ ...server.client(), close: () => {} })],
  ['https', overHttps],
] as const) {
  it(`a log that is followed ends with its reader, and fails with its node: ${name}`, async () => {
    const client = open()
    const pod = { namespace: 'default', name: `followed-${name}` }
    if (!(await client.find(ServiceAccount, { namespace: 'default', name: 'default' }))) await prepare('default')
    await client.create(Pod, { metadata: pod, spec: { containers: [{ name: 'c', image: 'i' }] } })
    await says(pod, 'first\n')
    const stop = new AbortController()
    const heard: string[] = []
    for await (const piece of client.log(pod, { follow: true, signal: stop.signal })) {
      heard.push(Buffer.from(piece).toString())
      stop.abort()
    }
    assert.deepEqual(heard, ['first\n'])
    const followed = async () => {
      for await (const _ of client.log(pod, { follow: true })) cut()
    }
    await assert.rejects(followed, (error) => isStatus(error, 'ServiceUnavailable') || assert.fail(String(error)))
    client.close()
  })
}

/** No controller runs here that would make what every pod needs. */
async function prepare(namespace: string): Promise<void> {
  await server.client().create(ServiceAccount, { metadata: { namespace, name: 'default' } })
}

async function says(pod: Ref, text: string): Promise<void> {
  said.set(keyOf(pod), text)
  await server.client().create(Pod, { metadata: pod, target: { name: 'talker' } }, { subresource: 'binding' })
}
