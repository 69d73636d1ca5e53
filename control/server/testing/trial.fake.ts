// A server for tests: everything but the socket, over a store in memory.

import { generateKeyPairSync } from 'node:crypto'
import { parseCidrs } from '#api/cidr.ts'
import type { Client } from '#api/client/client.ts'
import { type FakeClock, fakeClock } from '#api/clock.fake.ts'
import { Namespace, ServiceAccount } from '#api/kinds/index.ts'
import { type Log, silent } from '#api/log.ts'
import { masters, serverUser, type User } from '#control/auth/user.ts'
import type { Pki } from '#control/pki/pki.ts'
import { memoryStore } from '../../store/memory.ts'
import type { Store } from '../../store/store.ts'
import { type Assembly, assemble } from '../assemble.ts'
import { bootstrap } from '../bootstrap.ts'
import { inProcessClient } from '../in-process.ts'
import { dialHere } from './dial.fake.ts'

export const admin: User = { name: 'admin', groups: [masters, 'system:authenticated'] }

/** Whatever a test expects to find there. */
export type Json = ReturnType<typeof JSON.parse>

export type Answer = { code: number; body: Json; text: string; headers: Headers }

export type Trial = Assembly & {
  store: Store
  clock: FakeClock
  client: Client
  /** A request as `admin`, or another; `body` as JSON unless it is text. */
  ask(method: string, path: string, body?: unknown, options?: { headers?: Record<string, string>; user?: User }): Promise<Answer>
  /** The raw answer, e.g. of a watch. */
  open(path: string, options?: { headers?: Record<string, string>; signal?: AbortSignal }): Promise<Response>
}

const pem = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const serviceAccountKey = pem()

const fakeAuthority: Pki['authority'] = {
  cert: 'authority',
  issue: async () => ({ cert: 'cert', key: 'key' }),
  certify: () => 'cert',
  async sign(request, profile) {
    if (!request.startsWith('csr')) throw new SyntaxError('it is no signing request')
    return `signed ${JSON.stringify(profile)}`
  },
}

/** Credentials that no TLS is made with. */
const fakePki = (): Pki => ({
  authority: fakeAuthority,
  serving: { cert: 'cert', key: 'key' },
  agents: { authority: fakeAuthority, client: { cert: 'cert', key: 'key' } },
  frontProxy: { authority: 'front proxy', client: { cert: 'cert', key: 'key' } },
  admin: { cert: 'cert', key: 'key' },
  serviceAccountKey,
  end: Number.POSITIVE_INFINITY,
  renew: async () => undefined,
  onRenewed: () => () => undefined,
})

/** With the bootstrap objects and a service account in `default`; `close` it. */
export async function trial(options: { store?: Store; log?: Log; seats?: number; serviceCIDR?: string } = {}): Promise<Trial> {
  const store = options.store ?? (await memoryStore())
  const clock = fakeClock()
  const serviceCidrs = parseCidrs(options.serviceCIDR ?? '10.43.0.0/16') ?? []
  const assembly = await assemble({
    store,
    pki: fakePki(),
    clock,
    log: options.log ?? silent,
    serviceCidrs,
    dial: dialHere,
    ...(options.seats && { seats: options.seats }),
  })
  const client = inProcessClient({ ...assembly, user: serverUser })
  await bootstrap({
    client,
    advertise: { address: '192.0.2.1', port: 6443 },
    serviceCidrs,
    authorities: { clients: 'authority', frontProxy: 'front proxy' },
  })
  if (!(await client.find(ServiceAccount, { namespace: 'default', name: 'default' }))) {
    await client.create(ServiceAccount, { metadata: { namespace: 'default', name: 'default' } })
  }
  if (!(await client.find(Namespace, { name: 'test' }))) {
    await client.create(Namespace, { metadata: { name: 'test' } })
    await client.create(ServiceAccount, { metadata: { namespace: 'test', name: 'default' } })
  }
  return {
    ...assembly,
    store,
    clock,
    client,
    async ask(method, path, body, { headers = {}, user = admin } = {}) {
      const init: RequestInit = { method, headers }
      if (body !== undefined) {
        init.body = typeof body === 'string' || body instanceof Uint8Array ? (body as string) : JSON.stringify(body)
        init.headers = { 'content-type': 'application/json', ...headers }
      }
      const response = await assembly.app.request(path, init, { user })
      const text = await response.text()
      const isJson = response.headers.get('content-type')?.startsWith('application/json')
      return { code: response.status, body: isJson && text ? JSON.parse(text) : {}, text, headers: response.headers }
    },
    async open(path, { headers = {}, signal } = {}) {
      return await assembly.app.request(path, { headers, ...(signal && { signal }) }, { user: admin })
    },
    async close() {
      await assembly.close()
      if (!options.store) await store.close()
    },
  }
}

/** The lines of a watch, one at a time. */
export async function* eventsOf(response: Response): AsyncGenerator<Json> {
  if (!response.body) return
  let rest = ''
  const decoder = new TextDecoder()
  for await (const chunk of response.body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) yield JSON.parse(line)
  }
}

export const configMap = (name: string, data: Record<string, string> = {}, labels?: Record<string, string>) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...(labels && { labels }) },
  data,
})

export const deployment = (name: string, replicas = 1) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'c', image: 'busybox:1' }] } },
  },
})

export const pod = (name: string, spec: Json = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: { containers: [{ name: 'c', image: 'busybox:1' }], ...spec },
})
