// Informers that run for weeks: through a restart of the server, and through one that has forgotten
// what they last saw, no change is missed and none is told twice.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { CoreV1Api, KubeConfig, makeInformer } from '@kubernetes/client-node'
import type { Client } from '#api/client/client.ts'
import { httpsClient } from '#api/client/https.ts'
import { systemClock } from '#api/clock.ts'
import { informers } from '#api/informer/informers.ts'
import { ConfigMap, Namespace } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import { openPki } from '#control/pki/pki.ts'
import { type Server, startServer } from '#control/server/server.ts'
import { openLevelStore } from '#control/store/level.ts'
import type { Store } from '#control/store/store.ts'
import { atEnd } from '../cluster/ending.ts'
import { eventually } from '../cluster/eventually.ts'

const dir = await mkdtemp(join(tmpdir(), 'coracle-informer-'))
const pki = await openPki({ dir: join(dir, 'pki'), hosts: ['127.0.0.1'], now: Date.now })
let port = 0
let running: { store: Store; server: Server } | undefined

async function start(at = port): Promise<Client> {
  const store = await openLevelStore({ dir: join(dir, 'db'), log: silent })
  const listen = { host: '127.0.0.1', port: at }
  const server = await startServer({ store, pki, listen, advertise: { address: '127.0.0.1' }, clock: systemClock, log: silent })
  running = { store, server }
  port ||= server.port
  return server.client()
}
async function stop(): Promise<void> {
  await running?.server.close()
  await running?.store.close()
  running = undefined
}
atEnd(async () => {
  await stop()
  await rm(dir, { recursive: true })
})

type Told = { what: 'add' | 'update' | 'delete'; name: string; version: string }

/** What was told, and how to start and stop the telling; the same for both informers. */
type Watching = { told: Told[]; stop(): Promise<void> }

const clientNode = async (namespace: string): Promise<Watching> => {
  const config = new KubeConfig()
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  config.loadFromClusterAndUser(
    { name: 'c', server: `https://127.0.0.1:${port}`, caData: base64(pki.authority.cert), skipTLSVerify: false },
    { name: 'u', certData: base64(pki.admin.cert), keyData: base64(pki.admin.key) },
  )
  const api = config.makeApiClient(CoreV1Api)
  const told: Told[] = []
  const informer = makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, () => api.listNamespacedConfigMap({ namespace }))
  for (const what of ['add', 'update', 'delete'] as const)
    informer.on(what, ({ metadata }) => told.push({ what, name: metadata?.name ?? '', version: metadata?.resourceVersion ?? '' }))
  let stopped = false
  // As its documentation says: a lost connection is for the caller to try again.
  informer.on('error', () => void sleep(50).then(() => (stopped ? undefined : informer.start())))
  await informer.start()
  return {
    told,
    async stop() {
      stopped = true
      await informer.stop()
    },
  }
}

const ours = async (namespace: string): Promise<Watching> => {
  const credentials = { ca: pki.authority.cert, cert: pki.admin.cert, key: pki.admin.key }
  const client = httpsClient({ server: `https://127.0.0.1:${port}`, credentials, userAgent: 'test/1', log: silent })
  const all = informers({ client, clock: systemClock, log: silent, random: () => 0 })
  const told: Told[] = []
  const note = (what: Told['what']) => (object: { metadata: { name: string; namespace?: string; resourceVersion: string } }) => {
    const { name, resourceVersion: version } = object.metadata
    if (object.metadata.namespace === namespace) told.push({ what, name, version })
  }
  const informer = all.of(ConfigMap)
  informer.on({ add: note('add'), update: note('update'), delete: note('delete') })
  await informer.synced
  return {
    told,
    async stop() {
      await all.close()
      client.close()
    },
  }
}

for (const [title, namespace, watchWith] of [
  ['@kubernetes/client-node', 'theirs', clientNode],
  ['our own', 'ours', ours],
] as const) {
  describe(`an informer (${title})`, () => {
    it('misses nothing and repeats nothing over a restart and a compaction', async () => {
      let client = await start()
      await client.create(Namespace, { metadata: { name: namespace } })
      const wanted: Told[] = []
      const put = async (name: string, version: number) => {
        const ref = { namespace, name }
        const there = await client.find(ConfigMap, ref)
        const data = { version: String(version) }
        const made = there ? await client.update(ConfigMap, { ...there, data }) : await client.create(ConfigMap, { metadata: ref, data })
        wanted.push({ what: there ? 'update' : 'add', name, version: made.metadata.resourceVersion })
      }
      const remove = async (name: string) => {
        await client.delete(ConfigMap, { namespace, name })
        wanted.push({ what: 'delete', name, version: '' })
      }
      await put('before', 1)
      const watching = await watchWith(namespace)
      try {
        // A deletion is told at the version that it was found at, or at its own.
        const plain = (list: Told[]) => list.map((t) => (t.what === 'delete' ? { ...t, version: '' } : t))
        const same = () => eventually(async () => assert.deepEqual(plain(watching.told), plain(wanted)), { withinMs: 10_000 })
        for (let i = 0; i < 20; i += 1) await put(`a${i % 5}`, i)
        await remove('a0')
        await same()

        // A restart; what happens before the informer is back is told in order, each change once.
        await stop()
        client = await start(0)
        for (let i = 0; i < 20; i += 1) await put(`b${i % 5}`, i)
        await remove('b0')
        await put('b0', 99)
        await stop()
        client = await start()
        await put('before', 2)
        await same()

        // A restart, and nothing left of what happened meanwhile: the difference is told, once.
        await stop()
        client = await start(0)
        const known = wanted.length
        await put('a1', 100)
        await put('a1', 101)
        await put('short', 1)
        await remove('short')
        await put('new', 1)
        await remove('a2')
        if (running) await running.store.compact(await running.store.revision())
        await stop()
        client = await start()
        const late = plain(wanted.splice(known)).filter(({ name, version }) => name !== 'short' && version !== '')
        const versions = new Map(late.map((t) => [t.name, t.version]))
        const difference = [
          { what: 'update', name: 'a1', version: versions.get('a1') },
          { what: 'delete', name: 'a2', version: '' },
          { what: 'add', name: 'new', version: versions.get('new') },
        ]
        const byName = (list: object[]) => list.map((t) => JSON.stringify(t)).toSorted((a, b) => (a < b ? -1 : 1))
        await eventually(async () => assert.deepEqual(byName(plain(watching.told.slice(known))), byName(difference)), { withinMs: 10_000 })

        // And it goes on from there.
        wanted.push(...watching.told.slice(known))
        await put('a1', 102)
        await remove('new')
        await same()
      } finally {
        await watching.stop()
        await stop()
      }
    })
  })
}
