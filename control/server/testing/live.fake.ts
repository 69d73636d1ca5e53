// A whole server for tests, on a socket, with clients that speak to it as others do.

import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { IncomingHttpHeaders } from 'node:http'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type Clock, systemClock } from '#api/clock.ts'
import { ServiceAccount } from '#api/kinds/index.ts'
import { type Log, silent } from '#api/log.ts'
import { openPki, type Pki } from '#control/pki/pki.ts'
import { memoryStore } from '../../store/memory.ts'
import type { Store } from '../../store/store.ts'
import { type Server, type ServerOptions, startServer } from '../server.ts'
import { dialHere } from './dial.fake.ts'
import type { Json } from './trial.fake.ts'

export type Credentials = { cert: string; key: string }
type Ask = { body?: unknown; headers?: Record<string, string>; as?: Credentials }
type Answer = { code: number; headers: IncomingHttpHeaders; text: string; body: Json }

export type Live = AsyncDisposable & {
  server: Server
  pki: Pki
  store: Store
  /** As the administrator unless told. */
  ask(method: string, path: string, options?: Ask): Promise<Answer>
  /** Upgrades to `echo`, sends `sent`, and resolves with what comes back first. */
  upgrade(path: string, sent: string): Promise<string>
}

type Options = {
  clock?: Clock
  /** Stays the caller's. */
  store?: Store
  identity?: ServerOptions['identity']
  log?: Log
}

export async function live({ clock = systemClock, store: given, identity, log = silent }: Options = {}): Promise<Live> {
  const dir = await mkdtemp(join(tmpdir(), 'coracle-live-'))
  const pki = await openPki({ dir, hosts: ['127.0.0.1'], now: Date.now })
  const store = given ?? (await memoryStore())
  const server = await startServer({
    store,
    pki,
    listen: { host: '127.0.0.1', port: 0 },
    advertise: { address: '127.0.0.1' },
    dial: dialHere,
    ...(identity && { identity }),
    clock,
    log,
  })
  const account = { namespace: 'default', name: 'default' }
  if (!(await server.client().find(ServiceAccount, account))) await server.client().create(ServiceAccount, { metadata: account })
  const at = (path: string, as: Credentials = pki.admin) => ({
    host: '127.0.0.1',
    port: server.port,
    path,
    ca: pki.authority.cert,
    cert: as.cert,
    key: as.key,
    agent: false as const,
  })
  return {
    server,
    pki,
    store,
    async ask(method, path, { body, headers = {}, as } = {}) {
      const sent = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)
      const type = sent === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(sent) }
      const outgoing = request({ ...at(path, as), method, headers: { ...type, ...headers } })
      outgoing.end(sent)
      const [answer] = await once(outgoing, 'response')
      const said = await text(answer)
      // A watch is many values.
      const isJson = answer.headers['content-type']?.startsWith('application/json') && said !== '' && !path.includes('watch=true')
      return { code: answer.statusCode, headers: answer.headers, text: said, body: isJson ? JSON.parse(said) : {} }
    },
    async upgrade(path, sent) {
      const outgoing = request({ ...at(path), headers: { connection: 'Upgrade', upgrade: 'echo' } })
      outgoing.end()
      const [, socket] = await once(outgoing, 'upgrade')
      socket.write(sent)
      const [received] = await once(socket, 'data')
      socket.destroy()
      return String(received)
    },
    async [Symbol.asyncDispose]() {
      await server.close()
      if (!given) await store.close()
      await rm(dir, { recursive: true })
    },
  }
}
