// client-go's informers over a restart of the server and over one that has forgotten what they last saw: by lists
// and by watch-list, in JSON and where protobuf comes first.

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Client } from '#api/client/client.ts'
import { systemClock } from '#api/clock.ts'
import { ConfigMap, Namespace } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import { openPki } from '#control/pki/pki.ts'
import { type Server, startServer } from '#control/server/server.ts'
import { openLevelStore } from '#control/store/level.ts'
import type { Store } from '#control/store/store.ts'
import { atEnd } from '../cluster/ending.ts'
import { type Running, runProgram } from './programs.ts'

const dir = await mkdtemp(join(tmpdir(), 'coracle-clients-'))
const pki = await openPki({ dir: join(dir, 'pki'), hosts: ['127.0.0.1'], now: Date.now })
let port = 0
let running: { store: Store; server: Server } | undefined

async function start(): Promise<Client> {
  const store = await openLevelStore({ dir: join(dir, 'db'), log: silent })
  const listen = { host: '127.0.0.1', port }
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

let client = await start()
const kubeconfig = join(dir, 'kubeconfig')
const base64 = (text: string) => Buffer.from(text).toString('base64')
await writeFile(
  kubeconfig,
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server: `https://127.0.0.1:${port}`, 'certificate-authority-data': base64(pki.authority.cert) } }],
    users: [{ name: 'u', user: { 'client-certificate-data': base64(pki.admin.cert), 'client-key-data': base64(pki.admin.key) } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  }),
  { mode: 0o600 },
)

type Told = { what: string; name: string; version: string }
/** A deletion is told at the version that it was found at, or at its own. */
const plain = (what: string, name: string, version: string): Told => ({ what, name, version: what === 'delete' ? '' : version })
const changes = ({ lines }: Running): Told[] =>
  lines
    .filter(({ what = '' }) => ['add', 'update', 'delete'].includes(what))
    .map(({ what = '', name = '', version = '' }) => plain(what, name, version))

for (const [title, protobuf, watchList] of [
  ['lists in JSON', false, false],
  ['watch-list in JSON', false, true],
  ['lists, protobuf first', true, false],
  ['watch-list, protobuf first', true, true],
] as const) {
  test(`client-go misses and repeats nothing over a restart and a compaction: ${title}`, async () => {
    const namespace = title.toLowerCase().replaceAll(/[^a-z]+/g, '-')
    await client.create(Namespace, { metadata: { name: namespace } })
    const wanted: Told[] = []
    const put = async (name: string, value: number) => {
      const there = await client.find(ConfigMap, { namespace, name })
      const data = { value: String(value) }
      const { metadata } = there
        ? await client.update(ConfigMap, { ...there, data })
        : await client.create(ConfigMap, { metadata: { namespace, name }, data })
      wanted.push(plain(there ? 'update' : 'add', name, metadata.resourceVersion))
    }
    const remove = async (name: string) => {
      await client.delete(ConfigMap, { namespace, name })
      wanted.push(plain('delete', name, ''))
    }
    await put('before', 1)
    const informer = runProgram('informer', [`-kubeconfig=${kubeconfig}`, `-namespace=${namespace}`, `-protobuf=${protobuf}`], {
      KUBE_FEATURE_WatchListClient: String(watchList),
    })
    try {
      await informer.line(({ what }) => what === 'synced')
      const seen = async (name: string) => {
        await put(name, 0)
        const { version } = wanted.at(-1)!
        await informer.line((line) => line['name'] === name && line['version'] === version)
      }
      for (let i = 0; i < 20; i += 1) await put(`a${i % 5}`, i)
      await remove('a0')
      await seen('first')
      assert.deepEqual(changes(informer), wanted)

      // A restart: what happens before the informer is back is told in order, each change once, and nothing besides.
      await stop()
      client = await start()
      for (let i = 0; i < 20; i += 1) await put(`b${i % 5}`, i)
      await remove('b0')
      await seen('second')
      assert.deepEqual(changes(informer), wanted)
      assert.equal(informer.lines.filter(({ what }) => what === 'same').length, 0, 'it went on from where it was')

      // What it last saw is forgotten: it lists anew, and tells what differs.
      const known = informer.lines.length
      await stop()
      client = await start()
      const before = wanted.length
      for (let i = 0; i < 20; i += 1) await put(`c${i % 5}`, i)
      await remove('a1')
      const { store } = running!
      await store.compact(await store.revision())
      await stop()
      client = await start()
      await seen('third')
      for (let i = 0; i < 5; i += 1) await put(`c${i}`, 100 + i)
      await seen('fourth')
      const after = informer.lines.slice(known)
      const { items } = await client.list(ConfigMap, { namespace })
      for (const { metadata } of items.filter((item) => /^c\d/.test(item.metadata.name))) {
        const own = after.filter(({ name }) => name === metadata.name)
        const versions = own.map(({ version }) => Number(version))
        assert.deepEqual(
          versions,
          versions.toSorted((a, b) => a - b),
          `${metadata.name} goes back in time`,
        )
        assert.equal(own.filter(({ what }) => what === 'add').length, 1, `${metadata.name} is added once: ${JSON.stringify(own)}`)
        assert.equal(own.at(-1)?.['version'], metadata.resourceVersion)
      }
      assert.equal(after.filter(({ what, name }) => what === 'delete' && name === 'a1').length, 1)
      assert.ok(wanted.length > before)

      informer.write('\n')
      await informer.line(({ what }) => what === 'end')
      const holds = informer.lines.filter(({ what }) => what === 'holds').map(({ name, version }) => `${name} ${version}`)
      assert.deepEqual(holds.sort(), items.map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`).sort())
    } finally {
      await informer.stop()
    }
  })
}
