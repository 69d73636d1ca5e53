// The HTTPS client of the house against a real server: the same suite that the in-process client passes.

import { after } from 'node:test'
import { clientConformance } from '#api/client/conformance.ts'
import { httpsClient } from '#api/client/https.ts'
import { Namespace, ServiceAccount } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import { live } from '../testing/live.fake.ts'

const running = await live()
const { server, pki } = running
const stop = new AbortController()
after(async () => {
  stop.abort()
  await running[Symbol.asyncDispose]()
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
