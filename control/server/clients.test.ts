// Both transports of the Client against the whole server: in this process, and over TLS.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { clientConformance } from '#api/client/conformance.ts'
import { httpsClient } from '#api/client/https.ts'
import { systemClock } from '#api/clock.ts'
import { ServiceAccount } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import { openPki, type Pki } from '#control/pki/pki.ts'
import { memoryStore } from '../store/memory.ts'
import { type Server, startServer } from './server.ts'

let folder: string
let pki: Pki
let server: Server

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clients-'))
  pki = await openPki({ dir: folder, hosts: ['127.0.0.1'], now: Date.now })
  const store = await memoryStore()
  server = await startServer({
    store,
    pki,
    listen: { host: '127.0.0.1', port: 0 },
    advertise: { address: '127.0.0.1' },
    clock: systemClock,
    log: silent,
  })
})

after(async () => {
  await server.close()
  await rm(folder, { recursive: true })
})

clientConformance('in-process', () => ({ client: server.client(), prepare }))

clientConformance('https', () => {
  const credentials = { ca: pki.authority.cert, cert: pki.admin.cert, key: pki.admin.key }
  const client = httpsClient({ server: `https://127.0.0.1:${server.port}`, credentials, userAgent: 'test/1', log: silent })
  return { client, prepare, close: () => client.close() }
})

/** No controller runs here that would make what every pod needs. */
async function prepare(namespace: string): Promise<void> {
  await server.client().create(ServiceAccount, { metadata: { namespace, name: 'default' } })
}
