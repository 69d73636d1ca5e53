// The HTTPS client of the house against a real server: the same suite that the in-process client passes.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { clientConformance } from '#api/client/conformance.ts'
import { httpsClient } from '#api/client/https.ts'
import { systemClock } from '#api/clock.ts'
import { Namespace, ServiceAccount } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import { openPki } from '#control/pki/pki.ts'
import { memoryStore } from '../store/memory.ts'
import { startServer } from './server.ts'

const dir = await mkdtemp(join(tmpdir(), 'coracle-https-'))
const pki = await openPki({ dir, hosts: ['127.0.0.1'], now: Date.now })
const store = await memoryStore()
const server = await startServer({
  store,
  pki,
  listen: { host: '127.0.0.1', port: 0 },
  advertise: { address: '127.0.0.1' },
  clock: systemClock,
  log: silent,
})
const stop = new AbortController()
after(async () => {
  stop.abort()
  await server.close()
  await store.close()
  await rm(dir, { recursive: true })
})
// As the controllers do: a namespace has its account.
const local = server.client()
void (async () => {
  for await (const { object } of local.watch(Namespace, { signal: stop.signal })) {
    const { name } = object.metadata
    if (name.startsWith('conformance')) await local.create(ServiceAccount, { metadata: { namespace: name, name: 'default' } })
  }
})()

clientConformance('HTTPS', () => {
  const client = httpsClient({
    server: `https://127.0.0.1:${server.port}`,
    credentials: { ca: pki.authority.cert, ...pki.admin },
    userAgent: 'test/1',
    log: silent,
  })
  return { client, close: () => client.close() }
})
